"""Request bodies in protobuf, read into the same JSON form as every other body. Answers are never protobuf."""
