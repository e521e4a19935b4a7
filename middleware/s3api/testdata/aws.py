"""Writes aws.json: all operations of S3, with their sub-resources, parameters and x-amz-* headers, as the newest boto3 that is
installed knows them. Run it when there is a newer one; the test then tells what is to be decided.

  python3 testdata/aws.py
"""
import json
import os
from urllib.parse import urlsplit, parse_qsl

import botocore
import botocore.session

model = botocore.session.get_session().get_service_model("s3")
operations = []
for name in model.operation_names:
    op = model.operation_model(name)
    uri = urlsplit(op.http["requestUri"])
    query, headers = set(), set()
    shape = op.input_shape
    for member in (shape.members.values() if shape else ()):
        where, what = member.serialization.get("location"), member.serialization.get("name")
        if where == "querystring":
            query.add(what)
        elif where == "header" and what.lower().startswith("x-amz-"):
            headers.add(what.lower())
        elif where == "headers":
            headers.add(what.lower() + "*")
    operations.append({
        "name": name, "method": op.http["method"],
        "level": "OBJECT" if "{Key" in uri.path else "BUCKET" if "{Bucket" in uri.path or uri.path == "/" and "Bucket" in (shape.members if shape else {}) else "SERVICE",
        "fixed": dict(parse_qsl(uri.query, keep_blank_values=True)), "query": sorted(query), "headers": sorted(headers),
    })
here = os.path.dirname(os.path.abspath(__file__))
with open(os.path.join(here, "aws.json"), "w") as f:
    f.write("{\n\"source\": %s,\n\"operations\": [\n" % json.dumps("botocore " + botocore.__version__))
    f.write(",\n".join(json.dumps(o, sort_keys=True) for o in sorted(operations, key=lambda o: o["name"])))
    f.write("\n]}\n")
