"""The losses of a block's samples and the output layer's delta, in the place of the weighted sums of the output layer.

Targets are class numbers for the cross-entropy and a panel of values for the others; where samples have weights, those
follow as another row. Lanes past the last sample count nothing.
"""

from __future__ import annotations

from fastmlp.kernels.elementary import exp, log
from fastmlp.kernels.jit import kernel, routine
from fastmlp.kernels.optimizers import Setting
from fastmlp.kernels.vectors import every, fill, first, fma, lanes, load, magnitude, number, select, store
from fastmlp.options import Loss

# One logarithm serves this many vectors: the sums of exponentials of up to 4,096 classes multiply without overflow.
VECTORS_PER_LOG = 8
# Of two classes the sum is at most 2.
VECTORS_PER_LOG_OF_TWO = 16
MOST_CLASSES_PER_LOG = 4096


@kernel
def l2_penalty(running, l2, squares):
    """l2 / 2 times the sum of the squared weights; 0 where l2 is, however large they are."""
    zero, half = fill(running, number(running, 0)), fill(running, number(running, 1) / number(running, 2))
    return select(l2 > zero, l2 * half * squares, zero)


@kernel
def loss_backward(net, settings, z, z0, outputs, y, y0, count, hop):
    """Replace the weighted sums by the delta and return the sums of the samples' losses, lane by lane.

    A vector's samples stand side by side, and those of the next one `hop` elements from them.
    """
    step, zero = net.stride, number(z, 0)
    if net.loss != Loss.CROSS_ENTROPY:
        return by_outputs(net, settings, z, z0, outputs, y, y0, count, hop)
    if outputs == 2 and not net.weighted and settings[Setting.LABEL_SMOOTHING] == zero:
        return two_classes(z, z0, step, y, y0, count, hop)
    return cross_entropy(net, settings, z, z0, outputs, y, y0, count, hop)


@routine
def weight_of(net, y, y0, count, hop):
    """The sums of the samples' weights, lane by lane."""
    width = lanes(y)
    zero = fill(y, number(y, 0))
    weights = zero
    for v in range((count + width - 1) // width):
        weights = weights + weights_at(net, y, y0 + v * hop, count - v * width)
    return weights


@kernel
def weights_at(net, y, y0, count):
    """The weights of a vector of samples, 1 where there are none; 0 past the last sample."""
    weights = fill(y, number(y, 1))
    if net.weighted:
        weights = load(y, y0 + (net.n_targets - 1) * net.stride)
    return select(first(y, count), weights, fill(y, number(y, 0)))


@routine
def two_classes(z, z0, step, y, y0, count, hop):
    """:func:`cross_entropy` of two classes: with t, the other class's sum less the right one's, log(1 + exp(t))."""
    width = lanes(z)
    zero, one = fill(z, number(z, 0)), fill(z, number(z, 1))
    losses, product = zero, one
    for v in range((count + width - 1) // width):
        i = z0 + v * hop
        inside, second = first(z, count - v * width), load(y, y0 + v * hop) > zero
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
    return losses + log(product)


@routine
def cross_entropy(net, settings, z, z0, outputs, y, y0, count, hop):
    """-sum of target * log(softmax) and softmax less target, for targets that label smoothing has made more even."""
    width, step = lanes(z), net.stride
    zero, one = fill(z, number(z, 0)), fill(z, number(z, 1))
    smoothing = settings[Setting.LABEL_SMOOTHING]
    low, rest = zero, one
    if smoothing > number(z, 0):
        low = every(settings, Setting.LABEL_SMOOTHING) / fill(z, number(z, outputs))
        rest = one - every(settings, Setting.LABEL_SMOOTHING)
    high = rest + low
    losses, product = zero, one
    for v in range((count + width - 1) // width):
        begin, end = z0 + v * hop, z0 + v * hop + outputs * step
        inside, right = first(z, count - v * width), load(y, y0 + v * hop)
        top = load(z, begin)
        for i in range(begin + step, end, step):
            value = load(z, i)
            top = select(value > top, value, top)
        denominator, label, chosen, values = zero, zero, zero, zero
        for i in range(begin, end, step):
            value = load(z, i) - top
            chosen = select(label == right, value, chosen)
            values = values + value
            e = exp(value)
            denominator = denominator + e
            store(z, i, e)
            label = label + one
        label = zero
        weights = weights_at(net, y, y0 + v * hop, count - v * width)
        factor = one / denominator
        for i in range(begin, end, step):
            share = load(z, i) * factor
            delta = share - select(label == right, high, low)
            if net.weighted:
                delta = delta * weights
            store(z, i, select(inside, delta, zero))
            label = label + one
        expected = chosen
        if smoothing > number(z, 0):
            expected = fma(low, values, rest * chosen)
        if net.weighted:
            losses = losses + weights * (log(denominator) - expected)
            continue
        losses = losses - select(inside, expected, zero)
        product = product * select(inside, denominator, one)
        if v % VECTORS_PER_LOG == VECTORS_PER_LOG - 1 or outputs > MOST_CLASSES_PER_LOG:
            losses = losses + log(product)
            product = one
    return losses + log(product)


@routine
def by_outputs(net, settings, z, z0, outputs, y, y0, count, hop):
    """The losses that are sums over the outputs, and their slopes."""
    width, step, loss = lanes(z), net.stride, net.loss
    zero, one = fill(z, number(z, 0)), fill(z, number(z, 1))
    half, limit = one / (one + one), every(settings, Setting.DELTA)
    fall = zero - every(settings, Setting.QUANTILE)
    rise = one + fall
    losses = zero
    for v in range((count + width - 1) // width):
        weights = weights_at(net, y, y0 + v * hop, count - v * width)
        inside = first(z, count - v * width)
        for output in range(outputs):
            i = z0 + output * step + v * hop
            value, target = load(z, i), load(y, y0 + output * step + v * hop)
            if loss == Loss.BINARY_CROSS_ENTROPY:
                # log(1 + exp(z)) - y z
                e = exp(zero - magnitude(value))
                delta = select(value > zero, one, e) / (one + e) - target
                each = fma(zero - value, target, select(value < zero, zero, value)) + log(one + e)
            elif loss == Loss.POISSON:
                # exp(z) - y + y (log(y) - z)
                e = exp(value)
                delta = e - target
                each = fma(target, select(target > zero, log(target), zero) - value, delta)
            else:
                delta = value - target
                if loss == Loss.SQUARED_ERROR:
                    each = delta * half * delta
                elif loss == Loss.HUBER:
                    error = delta
                    delta = select(delta > limit, limit, select(delta < zero - limit, zero - limit, delta))
                    each = delta * fma(zero - half, delta, error)
                else:
                    # Of the quantile loss, of which the absolute error is twice the median's. A NaN stays.
                    error = delta
                    up, down = rise, fall
                    if loss == Loss.ABSOLUTE_ERROR:
                        up, down = one, zero - one
                    delta = select(error > zero, up, select(error < zero, down, error))
                    each = delta * error
            if net.weighted:
                each, delta = each * weights, delta * weights
            losses = losses + select(inside, each, zero)
            store(z, i, select(inside, delta, zero))
    return losses


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
