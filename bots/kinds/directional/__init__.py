"""What kinds that enter on a signal share: sizes, stops, targets, time limits, and the orders that come of them.

A bit of the signal at a close asks for an entry or an exit at the next price. Once in, the stop loss, the trailing stop
and the ladder of take profits are alternatives: each of them takes what is left, and a target that is hit shrinks the
stops.
"""
