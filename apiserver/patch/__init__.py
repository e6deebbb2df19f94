"""(P) The three patch formats: JSON Patch, JSON Merge Patch and strategic merge patch.

Stands between the handler of PATCH (`apiserver.http.rest.update`), which reads body and stored object, and
admission. Each function returns a new object and leaves its arguments as they are; `errors.PatchError`
carries code and text.
"""
