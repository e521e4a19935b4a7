"""Stores and fetches what the plan says, with boto3. It writes a line of JSON for each step."""
import http.client
import io
import json
import ssl
import sys
import urllib.parse
import uuid

import boto3
import botocore
import botocore.config
import botocore.exceptions
from boto3.s3.transfer import TransferConfig

with open(sys.argv[1]) as f:
    plan = json.load(f)


def say(**line):
    print(json.dumps(line), flush=True)


say(version="boto3 %s, Python %s" % (boto3.__version__, sys.version.split()[0]))
client = boto3.client(
    "s3", endpoint_url=plan["endpoint"], region_name="us-east-1", aws_access_key_id=plan["key"],
    aws_secret_access_key=plan["secret"],
    config=botocore.config.Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}))


class Pipe(io.RawIOBase):
    """A stream that does not say how long it is and cannot go back."""

    def __init__(self, data):
        self.data = io.BytesIO(data)

    def readable(self):
        return True

    def read(self, n=-1):
        return self.data.read(n)


def post(url, fields, data):
    """Sends a form as a browser does."""
    mark = uuid.uuid4().hex
    body = b""
    for name, value in fields.items():
        body += ('--%s\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n' % (mark, name, value)).encode()
    body += ('--%s\r\nContent-Disposition: form-data; name="file"; filename="f"\r\nContent-Type: a/b\r\n\r\n' % mark).encode()
    body += data + ("\r\n--%s--\r\n" % mark).encode()
    u = urllib.parse.urlsplit(url)
    if u.scheme == "https":
        c = http.client.HTTPSConnection(u.netloc, context=ssl.create_default_context(cafile=plan["ca"]))
    else:
        c = http.client.HTTPConnection(u.netloc)
    c.request("POST", u.path, body, {"Content-Type": "multipart/form-data; boundary=" + mark})
    r = c.getresponse()
    if r.status != 204:
        raise Exception("%d %s" % (r.status, r.read().decode()))


def store(step, data):
    params = {"Bucket": plan["bucket"], "Key": step["name"]}
    extra = {"Metadata": {"step": "a b"}}
    if step.get("algorithm"):
        extra["ChecksumAlgorithm"] = step["algorithm"]
    how = step["how"]
    if how == "put":
        client.put_object(Body=data, **params, **extra)
    elif how == "stream":
        with open(step["file"], "rb") as f:
            client.put_object(Body=f, **params, **extra)
    elif how == "upload":
        client.upload_fileobj(Pipe(data), plan["bucket"], step["name"], ExtraArgs=extra,
                              Config=TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20))
    elif how == "form":
        form = client.generate_presigned_post(
            plan["bucket"], step["name"], Fields={"x-amz-meta-step": "a b"},
            Conditions=[{"x-amz-meta-step": "a b"}, ["content-length-range", len(data), len(data)]])
        post(form["url"], form["fields"], data)
    else:
        raise Exception("no such step: " + how)


for step in plan["steps"]:
    try:
        with open(step["file"], "rb") as f:
            data = f.read()
        try:
            store(step, data)
        except (botocore.exceptions.MissingDependencyException, botocore.exceptions.FlexibleChecksumError) as e:
            say(name=step["name"], lacks=str(e))
            continue
        got = client.get_object(Bucket=plan["bucket"], Key=step["name"], ChecksumMode="ENABLED")
        back = got["Body"].read()
        if back != data:
            raise Exception("%d bytes came back that are not the %d sent" % (len(back), len(data)))
        if got["Metadata"] != {"step": "a b"}:
            raise Exception("metadata %s" % got["Metadata"])
        a = client.get_object_attributes(Bucket=plan["bucket"], Key=step["name"],
                                         ObjectAttributes=["ETag", "Checksum", "ObjectParts", "ObjectSize"])
        if a["ObjectSize"] != len(data):
            raise Exception("attributes %s" % a)
        sums = a.get("Checksum", {})
        kind = sums.pop("ChecksumType", "")
        say(name=step["name"], checksum=",".join(k[8:] + "=" + v for k, v in sums.items()), kind=kind, etag=a["ETag"])
    except Exception as e:
        say(name=step["name"], error="%s: %s" % (type(e).__name__, e))
