"""The losses of a block's samples and the output layer's delta, in the place of the weighted sums of the output layer.

With its canonical output activation every loss here has the delta ``prediction - target``. Targets are class numbers for
the cross-entropy and a panel of values for the others. Lanes past the last sample count nothing.
"""

from __future__ import annotations

from fastmlp.kernels.elementary import exp, log
from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.vectors import fill, first, fma, lanes, load, magnitude, number, select, store, total
from fastmlp.options import Loss

# One logarithm serves this many vectors: the sums of exponentials of up to 4,096 classes multiply without overflow.
VECTORS_PER_LOG = 8
# Of two classes the sum is at most 2.
VECTORS_PER_LOG_OF_TWO = 16
MOST_CLASSES_PER_LOG = 4096


@kernel
def loss_backward(loss, z, z0, step, outputs, y, y0, count):
    """Replace the weighted sums by the delta and return the sum of the samples' losses."""
    if loss == Loss.CROSS_ENTROPY:
        if outputs == 2:
            return two_classes(z, z0, step, y, y0, count)
        return cross_entropy(z, z0, step, outputs, y, y0, count)
    if loss == Loss.BINARY_CROSS_ENTROPY:
        return binary_cross_entropy(z, z0, step, outputs, y, y0, count)
    return squared_error(z, z0, step, outputs, y, y0, count)


@routine
def two_classes(z, z0, step, y, y0, count):
    """:func:`cross_entropy` of two classes: with t, the other class's sum less the right one's, log(1 + exp(t))."""
    width = lanes(z)
    zero, one = fill(z, number(z, 0)), fill(z, number(z, 1))
    losses, product = zero, one
    for v in range((count + width - 1) // width):
        i = z0 + v * width
        inside, second = first(z, count - v * width), load(y, y0 + v * width) > zero
        difference = load(z, i + step) - load(z, i)
        t = select(second, zero - difference, difference)
        e = exp(zero - magnitude(t))
        denominator = one + e
        wrong = select(inside, select(t > zero, one, e) / denominator, zero)
        delta = select(second, zero - wrong, wrong)
        store(z, i, zero - delta)
        store(z, i + step, delta)
        losses = losses + select(inside, select(t < zero, zero, t), zero)
        product = product * select(inside, denominator, one)
        if v % VECTORS_PER_LOG_OF_TWO == VECTORS_PER_LOG_OF_TWO - 1:
            losses = losses + log(product)
            product = one
    return total(losses + log(product))


@routine
def cross_entropy(z, z0, step, outputs, y, y0, count):
    """log(sum of exp(z)) - z of the right class, and softmax less one-hot."""
    width = lanes(z)
    zero, one = fill(z, number(z, 0)), fill(z, number(z, 1))
    losses, product = zero, one
    for v in range((count + width - 1) // width):
        begin, end = z0 + v * width, z0 + v * width + outputs * step
        inside, right = first(z, count - v * width), load(y, y0 + v * width)
        top = load(z, begin)
        for i in range(begin + step, end, step):
            value = load(z, i)
            top = select(value > top, value, top)
        denominator, label = zero, zero
        chosen = zero
        for i in range(begin, end, step):
            value = load(z, i) - top
            chosen = select(label == right, value, chosen)
            e = exp(value)
            denominator = denominator + e
            store(z, i, e)
            label = label + one
        label = zero
        factor = one / denominator
        for i in range(begin, end, step):
            share = load(z, i) * factor
            store(z, i, select(inside, select(label == right, share - one, share), zero))
            label = label + one
        losses = losses - select(inside, chosen, zero)
        product = product * select(inside, denominator, one)
        if v % VECTORS_PER_LOG == VECTORS_PER_LOG - 1 or outputs > MOST_CLASSES_PER_LOG:
            losses = losses + log(product)
            product = one
    return total(losses + log(product))


@routine
def binary_cross_entropy(z, z0, step, outputs, y, y0, count):
    """log(1 + exp(z)) - y z summed over the outputs, and logistic(z) - y."""
    width = lanes(z)
    zero, one = fill(z, number(z, 0)), fill(z, number(z, 1))
    losses = zero
    for v in range((count + width - 1) // width):
        inside = first(z, count - v * width)
        for output in range(outputs):
            i = z0 + output * step + v * width
            value, target = load(z, i), load(y, y0 + output * step + v * width)
            e = exp(zero - magnitude(value))
            share = select(value > zero, one, e) / (one + e)
            loss = fma(zero - value, target, select(value < zero, zero, value)) + log(one + e)
            losses = losses + select(inside, loss, zero)
            store(z, i, select(inside, share - target, zero))
    return total(losses)


@routine
def squared_error(z, z0, step, outputs, y, y0, count):
    """Half the squared error summed over the outputs, and z - y."""
    width = lanes(z)
    zero, half = fill(z, number(z, 0)), fill(z, number(z, 1) / number(z, 2))
    losses = zero
    for v in range((count + width - 1) // width):
        inside = first(z, count - v * width)
        for output in range(outputs):
            i = z0 + output * step + v * width
            delta = select(inside, load(z, i) - load(y, y0 + output * step + v * width), zero)
            losses = fma(delta * half, delta, losses)
            store(z, i, delta)
    return total(losses)


@routine
def softmax(z, z0, step, outputs, vectors):
    """exp(z) over its sum, in place."""
    width = lanes(z)
    for v in range(vectors):
        begin, end = z0 + v * width, z0 + v * width + outputs * step
        top, denominator = load(z, begin), fill(z, number(z, 0))
        for i in range(begin + step, end, step):
            value = load(z, i)
            top = select(value > top, value, top)
        for i in range(begin, end, step):
            e = exp(load(z, i) - top)
            denominator = denominator + e
            store(z, i, e)
        for i in range(begin, end, step):
            store(z, i, load(z, i) / denominator)
