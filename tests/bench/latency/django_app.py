"""A bookshop on Django: ORM, templates, a form, sessions. One file, as small projects are."""

from pathlib import Path

import common
import django
from django.conf import settings

HERE = Path(__file__).parent
PATH = common.database()

settings.configure(
    SECRET_KEY="benchmark",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=[
        "django.contrib.admin",
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.messages",
        "django.contrib.sessions",
    ],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": PATH}},
    SESSION_ENGINE="django.contrib.sessions.backends.cache",
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [HERE / "templates"],
            "OPTIONS": {
                "context_processors": [
                    "django.template.context_processors.request",
                    "django.contrib.auth.context_processors.auth",
                    "django.contrib.messages.context_processors.messages",
                ]
            },
        }
    ],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django import forms  # noqa: E402 - needs the settings
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import models  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.urls import path  # noqa: E402


class Table(models.Model):
    class Meta:
        abstract = True
        app_label = "shop"
        managed = False


class Author(Table):
    name = models.TextField()

    class Meta(Table.Meta):
        db_table = "author"


class Book(Table):
    title = models.TextField()
    price = models.IntegerField()
    author = models.ForeignKey(Author, models.CASCADE)

    class Meta(Table.Meta):
        db_table = "book"


class Review(Table):
    stars = models.IntegerField()
    text = models.TextField()
    book = models.ForeignKey(Book, models.CASCADE, related_name="reviews")

    class Meta(Table.Meta):
        db_table = "review"


class Search(forms.Form):
    n = forms.IntegerField(min_value=0, required=False)
    word = forms.ChoiceField(choices=[(word, word) for word in common.WORDS[:12]], required=False)
    sort = forms.ChoiceField(choices=[("title", "title"), ("price", "price")], required=False)


def shop(request):
    form = Search(request.GET)
    form.is_valid()
    number = form.cleaned_data.get("n") or 0
    books = (
        Book.objects.filter(author_id=number % len(common.WORDS))
        .select_related("author")
        .prefetch_related("reviews")
        .order_by("title")
    )
    seen = request.session.get("seen", [])
    request.session["seen"] = [*seen[-9:], number]
    return render(request, "shop.html", {"form": form, "books": books, "seen": seen})


urlpatterns = [path("", shop)]
app = get_wsgi_application()
common.heap()
common.tune()
