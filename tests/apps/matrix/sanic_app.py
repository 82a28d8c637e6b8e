from sanic import Sanic
from sanic.response import json
from work import work

app = Sanic("matrix", configure_logging=False)
app.config.MOTD = False


@app.get("/job")
async def job(request):
    return json(work(int(request.args["n"][0])))
