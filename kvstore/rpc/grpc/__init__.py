"""gRPC over `kvstore.http2`: the transport under the services of `kvstore.rpc`.

    head of a stream -> connection -> stream (messages) -> the service's method
                                      `methods` says which

Why it is here: a unary call costs grpc.aio over 400 microseconds of processor time and this about 40, and a
watch response another hundred against five; three members on one machine have no processor to spare for that.
"""
