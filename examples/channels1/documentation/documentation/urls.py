from django.urls import path
from firststeps.views import remember
from later.views import publish

urlpatterns = [
    path("remember/<str:name>/", remember),
    path("publish/", publish),
]
