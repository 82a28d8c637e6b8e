from flask import Flask, request
from work import work

app = Flask(__name__)


@app.get("/job")
def job():
    return work(int(request.args["n"]))
