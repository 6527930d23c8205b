"""Measuring on the user's own machine: how long training takes, beside other libraries, and how long it will take."""
