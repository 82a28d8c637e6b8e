"""A gRPC server, without generated code. Its argument says which: sync or aio."""

import asyncio
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
from work import work

ADDRESS = "127.0.0.1:" + os.environ["MATRIX_PORT"]


def answer(request, context):
    return json.dumps(work(int(request))).encode()


async def answer_soon(request, context):
    return answer(request, context)


class Handler(grpc.GenericRpcHandler):
    def __init__(self, call):
        self.call = call

    def service(self, details):
        return grpc.unary_unary_rpc_method_handler(self.call)


def serve():
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Handler(answer),))
    server.add_insecure_port(ADDRESS)
    server.start()
    server.wait_for_termination()


async def serve_aio():
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Handler(answer_soon),))
    server.add_insecure_port(ADDRESS)
    await server.start()
    await server.wait_for_termination()


def send(number):
    call = grpc.insecure_channel(ADDRESS).unary_unary("/matrix/job")
    future = call.future(str(number).encode(), wait_for_ready=True)
    return lambda: json.loads(future.result(60))


if __name__ == "__main__":
    if sys.argv[1] == "aio":
        asyncio.run(serve_aio())
    else:
        serve()
