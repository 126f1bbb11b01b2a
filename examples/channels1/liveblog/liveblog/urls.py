from django.conf.urls import include, url
from django.contrib import admin
from posts import views

urlpatterns = [
    url(r"^$", views.index, name="index"),
    url(
        r"^live/(?P<slug>[\w-]+)/",
        include(
            [
                url(r"^$", views.blog, name="blog"),
            ]
        ),
    ),
    url(r"^admin/", admin.site.urls),
]
