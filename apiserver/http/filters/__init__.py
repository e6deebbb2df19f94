"""The steps that every request passes before it reaches a verb: one filter a file, in the order of ``http.chain``."""
