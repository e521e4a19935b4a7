#!/usr/bin/env python3
"""Records requests that botocore signs, as they go over the wire, for the tests of sigv4, sigv2 and awschunked.

Run it in this directory, with boto3 of early 2025 or later. No request is sent.
"""
import base64
import io
import json
import urllib.parse

import boto3
from botocore.config import Config
from botocore.auth import HmacV1Auth, HmacV1QueryAuth, S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

ACCESS, SECRET, TOKEN = 'AKIAEXAMPLE', 'secret/of+the/example', 'a+token/with=signs'
REGION = 'eu-west-3'
HOST = 'store.example:8080'

# What comes after the host: the path encoded by the client, and the query.
TARGETS = [
    '/', '/bucket', '/bucket/key', '/bucket/a//b', '/bucket//', '/bucket/../x', '/bucket/./x/.', '/bucket/a%20b', '/bucket/a%2Bb',
    '/bucket/%C3%A9%E2%82%AC', '/bucket/a%25b', '/bucket/%2541', '/bucket/~-._', "/bucket/%21%27%28%29%2A", '/bucket/%3F%23%26%3D%3B',
    '/bucket/%00%0A%FF', '/bucket/%40%3A%24%2C',
    '/bucket?acl', '/bucket?acl=', '/bucket?uploads&prefix=a%2Fb', '/bucket?list-type=2&prefix=a%20b&delimiter=%2F',
    '/bucket?prefix=%2B&marker=%26%3D', '/bucket?b=2&a=1&a-b=3&aB=4&A=5', '/bucket?a=2&a=1&a=', '/bucket?prefix=%C3%A9',
    '/bucket/key?versionId=abc&response-content-type=text%2Fplain', '/bucket/key?uploadId=x%7Ey&partNumber=7',
]
HEADERS = [
    {}, {'Content-Type': 'text/plain', 'x-amz-meta-a': 'b'}, {'x-amz-meta-spaces': '  a   b  ', 'x-amz-acl': 'private'},
    {'x-amz-meta-empty': '', 'x-amz-meta-a-b': '1', 'x-amz-meta-a': '2', 'Content-MD5': '1B2M2Y8AsgTpgAmY7PhCfg=='},
]


def head(method, target, headers):
    lines = ['%s %s HTTP/1.1' % (method, target)]
    lines += ['%s: %s' % (k, v.decode() if isinstance(v, bytes) else v) for k, v in headers]
    return '\r\n'.join(lines) + '\r\n\r\n'


def signed(auth, method, target, headers, body=b''):
    request = AWSRequest(method=method, url='http://' + HOST + target, data=body, headers=dict(headers, Host=HOST))
    auth.add_auth(request)
    parts = urllib.parse.urlsplit(request.url)
    target = parts.path + ('?' + parts.query if parts.query else '')
    # Whoever follows a presigned URL of version 2 has only the URL.
    headers = [h for h in request.headers.items() if 'AWSAccessKeyId' not in target or h[0] not in ('Date', 'x-amz-security-token')]
    return {'head': head(method, target, headers), 'body': base64.b64encode(body).decode()}


def rows(kinds):
    for name, auth in kinds:
        for i, target in enumerate(TARGETS):
            for token in (None, TOKEN):
                row = signed(auth(Credentials(ACCESS, SECRET, token)), ('GET', 'PUT', 'DELETE')[i % 3], target, HEADERS[i % len(HEADERS)],
                             b'body' if i % 3 == 1 and name == 'header' else b'')
                row['name'] = '%s %s%s' % (name, target, ' token' if token else '')
                yield row


def forms(version):
    """Fields of forms that post objects."""
    for token in (None, TOKEN):
        client = boto3.client('s3', aws_access_key_id=ACCESS, aws_secret_access_key=SECRET, aws_session_token=token, region_name=REGION,
                              endpoint_url='https://' + HOST, config=Config(signature_version=version))
        yield client.generate_presigned_post('bucket', 'a key', ExpiresIn=600)['fields']


class Taken(Exception):
    """The request is there, it need not be sent."""


def chunked():
    """Uploads of a client, whose bodies are aws-chunked."""
    for algorithm in ('CRC32', 'SHA1', 'SHA256'):
        for size in (0, 1, 8192, 1 << 20, (1 << 20) + 17):
            taken = []
            client = boto3.client('s3', aws_access_key_id=ACCESS, aws_secret_access_key=SECRET, region_name=REGION,
                                  endpoint_url='https://' + HOST, config=Config(s3={'addressing_style': 'path'}))

            def take(request, **_):
                parts = urllib.parse.urlsplit(request.url)
                headers = [('Host', HOST)] + [
                    h for h in request.headers.items() if not h[0].lower().startswith(('user-agent', 'amz-sdk'))]
                taken.append((head(request.method, parts.path, headers), request.body.read()))
                raise Taken

            client.meta.events.register('before-send.s3', take)
            try:
                client.put_object(Bucket='bucket', Key='key', Body=io.BytesIO(b'a' * size), ChecksumAlgorithm=algorithm)
            except Taken:
                pass
            text, body = taken[0]
            # The data is many times the same letter; the rest is recorded.
            yield {'name': '%s %d' % (algorithm, size), 'head': text, 'size': size, 'body': squeeze(body)}


def squeeze(body):
    """Writes long runs of one letter as {n}."""
    out, text = [], body.decode()
    while 'a' * 64 in text:
        before, _, rest = text.partition('a' * 64)
        after = rest.lstrip('a')
        out += [before, '{%d}' % (64 + len(rest) - len(after))]
        text = after
    return ''.join(out) + text


def write(path, items):
    with open(path, 'w') as f:
        json.dump(list(items), f, indent=0)
        f.write('\n')


write('botocore.json', rows([
    ('header', lambda c: S3SigV4Auth(c, 's3', REGION)), ('query', lambda c: S3SigV4QueryAuth(c, 's3', REGION, expires=600))]))
write('../../sigv2/testdata/botocore.json', rows([('header', HmacV1Auth), ('query', lambda c: HmacV1QueryAuth(c, expires=600))]))
write('forms.json', forms('s3v4'))
write('../../sigv2/testdata/forms.json', forms('s3'))
write('../../awschunked/testdata/botocore.json', chunked())
