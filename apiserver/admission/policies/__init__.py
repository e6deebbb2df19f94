"""Admission policies: expressions that are stored and decide about writes.

Flow: ``plugin`` finds the policies and bindings that a write meets (``admission.matching``) and their params
(``params``), ``policy`` runs the expressions, ``verdict`` makes one refusal, warnings and audit annotations of
what they say. ValidatingAdmissionPolicy only; MutatingAdmissionPolicy is stored and validated, but not run.
"""
