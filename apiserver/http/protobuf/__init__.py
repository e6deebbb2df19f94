"""Protobuf: bodies, read into the same JSON form as all others, and answers for clients that take nothing else."""
