"""Django in a file, and its manage.py."""

import sys

import django
from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import JsonResponse
from django.urls import path
from work import work

settings.configure(
    ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="none", USE_TZ=True, DEBUG=True
)
django.setup()


def job(request):
    return JsonResponse(work(int(request.GET["n"])))


urlpatterns = [path("job", job)]

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
else:
    app = get_wsgi_application()
