from channels import Channel
from django.http import HttpResponse


def publish(request):
    Channel("news.publish").send({"text": request.GET["text"]})
    return HttpResponse("It will be told", status=202)
