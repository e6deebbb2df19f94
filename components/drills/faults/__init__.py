"""One kind of fault a file; `table.KINDS` says which function does which step of `components.drills.spec`."""
