from django.http import HttpResponse


def remember(request, name):
    request.session["name"] = name
    return HttpResponse("You are %s" % name)
