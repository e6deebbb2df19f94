"""Request bodies in protobuf, read into the same JSON form as every other body, and answers for clients that take nothing else."""
