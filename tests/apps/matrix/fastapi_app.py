"""An endpoint that FastAPI runs in a thread."""

from fastapi import FastAPI
from work import work

app = FastAPI()


@app.get("/job")
def job(n: int):
    return work(n)
