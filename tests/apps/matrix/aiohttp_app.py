from aiohttp import web
from work import work


async def job(request):
    return web.json_response(work(int(request.query["n"])))


app = web.Application()
app.router.add_get("/job", job)
