"""One verb a file: reads a request, calls the operation, answers."""
