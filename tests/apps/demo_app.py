"""A shop, as a WSGI application: the demo's and the benchmarks' server. Standard library only.

At its start it loads a catalogue of about a million objects and an index of it, as services do
that keep their data in memory. A request looks products up, keeps what this customer saw among
the recent sessions, and builds a page from a tree whose nodes know their parents: a little
cyclic garbage, which only the collector can free.
"""

import os
import random
from collections import OrderedDict
from urllib.parse import parse_qs

PRODUCTS = int(os.environ.get("DEMO_PRODUCTS", "50000"))
SESSIONS = 400
WORDS = """amber anchor apple arrow autumn basil beacon birch blaze bloom breeze brook canvas
cedar chalk cherry cloud clover copper coral cotton crane creek crystal dawn delta drift dune
echo elm ember falcon fern field flint forest frost garden ginger glade granite grove harbor
hazel heather honey indigo iris island ivory ivy jasper juniper lake lantern lark laurel lemon
lilac linen lotus maple marble meadow mint mist moss oak ocean olive onyx opal orchid pearl
pebble pepper pine plum quartz raven reed ridge river robin rose ruby saffron sage sand shell
silver sky slate snow spruce star stone storm summit thistle thyme tide timber topaz valley
velvet violet willow wind winter wren""".split()


class Category:
    def __init__(self, name):
        self.name = name
        self.products = []


class Variant:
    def __init__(self, product, size, price):
        self.product = product
        self.size = size
        self.price = price
        self.stock = [0, 0, 0]


class Review:
    def __init__(self, product, stars, text):
        self.product = product
        self.stars = stars
        self.text = text
        self.tags = [text[:4]]


class Product:
    def __init__(self, number, category, chance):
        self.number = number
        self.name = " ".join(chance.choices(WORDS, k=3))
        self.category = category
        self.variants = [Variant(self, size, chance.randrange(500, 90000)) for size in "SML"]
        self.reviews = [Review(self, chance.randrange(1, 6), self.name) for _ in range(4)]
        self.related = []
        category.products.append(self)


class Catalogue:
    """Loaded once, kept for ever."""

    def __init__(self, number):
        chance = random.Random(1)
        self.categories = [Category(word) for word in WORDS]
        self.products = [Product(i, chance.choice(self.categories), chance) for i in range(number)]
        self.by_word = {}
        for product in self.products:
            product.related = chance.choices(self.products, k=3)
            for word in set(product.name.split()):
                self.by_word.setdefault(word, []).append(product)


class Node:
    """Of a page. It knows its parent, and its parent knows it: a cycle."""

    def __init__(self, parent, tag, text=""):
        self.parent = parent
        self.tag = tag
        self.text = text
        self.children = []
        if parent is not None:
            parent.children.append(self)

    def render(self, into):
        into.append("<%s>%s" % (self.tag, self.text))
        for child in self.children:
            child.render(into)
        into.append("</%s>" % self.tag)


class Seen:
    """What a customer was shown, and at which price."""

    def __init__(self, product):
        self.product = product
        self.prices = [variant.price for variant in product.variants]
        self.stars = [review.stars for review in product.reviews]


CATALOGUE = Catalogue(PRODUCTS)
RECENT = OrderedDict()  # of each customer; the oldest are forgotten


def remember(customer, products):
    RECENT[customer] = [Seen(product) for product in products]
    RECENT.move_to_end(customer)
    while len(RECENT) > SESSIONS:
        RECENT.popitem(last=False)


def page(word, products):
    root = Node(None, "html")
    table = Node(Node(root, "body", word), "table")
    for product in products:
        row = Node(table, "tr")
        Node(row, "td", product.name)
        Node(row, "td", "%.2f" % (min(variant.price for variant in product.variants) / 100))
    out = []
    root.render(out)
    return "".join(out).encode()


def app(environ, start_response):
    query = parse_qs(environ.get("QUERY_STRING", ""))
    number = int(query.get("n", ["0"])[0])
    word = WORDS[number % len(WORDS)]
    found = CATALOGUE.by_word.get(word, [])
    at = number * 7 % max(len(found) - 200, 1)
    products = sorted(found[at : at + 200], key=lambda product: product.name)
    remember(number, products)
    body = page(word, products[:40])
    start_response("200 OK", [("Content-Type", "text/html"), ("Content-Length", str(len(body)))])
    return [body]
