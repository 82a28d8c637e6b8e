"""A bookshop on Flask: sqlite3, Jinja templates with macros and inheritance, a session cookie."""

import sqlite3

import common
from flask import Flask, g, render_template, request, session

PATH = common.database()
app = Flask(__name__, template_folder="jinja")
app.secret_key = "benchmark"


def database():
    if "database" not in g:
        g.database = sqlite3.connect(PATH)
        g.database.row_factory = sqlite3.Row
    return g.database


@app.teardown_appcontext
def close(error):
    opened = g.pop("database", None)
    if opened is not None:
        opened.close()


def load(number):
    one = database()
    author = dict(one.execute("SELECT * FROM author WHERE id = ?", [number]).fetchone())
    books = one.execute("SELECT * FROM book WHERE author_id = ? ORDER BY title", [number])
    author["books"] = [dict(book) for book in books]
    for book in author["books"]:
        reviews = one.execute("SELECT * FROM review WHERE book_id = ?", [book["id"]])
        book["reviews"] = [dict(review) for review in reviews]
    return author


@app.route("/")
def shop():
    number = request.args.get("n", 0, int)
    session["seen"] = [*session.get("seen", [])[-9:], number]
    author = load(number % len(common.WORDS))
    return render_template("shop.html", author=author, number=number)


common.heap()
common.tune()
