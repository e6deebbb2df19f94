"""What an API server stores for itself: the objects of an empty cluster, and its own address.

Started by `apiserver.server` once the storage answers: `objects` creates what is missing and returns;
`endpoints` keeps the endpoints of the `kubernetes` Service equal to the live API servers until it is
cancelled. Several API servers may do so at once: every write is a create or a compare-and-swap.
"""
