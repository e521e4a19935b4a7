"""Records conversations with a running OpenStack Swift, for package replay: see doc.go there for the form of the file.

A script beside the recording, testdata/record.py, says what is asked:

    import os, sys
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
    from record import Conversation

    c = Conversation(sys.argv[1])          # http://HOST:PORT
    c.case('an object is made', 'test:tester', 'PUT', '/v1/AUTH_test/c/o', {'X-Object-Meta-A': 'b'}, 'content')
    c.write()                              # to standard output

Standard library only, and no state but the conversation's own.
"""
import base64
import calendar
import hashlib
import hmac
import http.client
import json
import os
import re
import sys
import time
import urllib.parse

# The users of the server's tempauth, as in etc/functional-test.toml.
KEYS = {
    'admin:admin': 'admin', 'admin:auditor': 'admin_ro', 'test:tester': 'testing', 'test:tester2': 'testing2',
    'test:tester3': 'testing3', 'test2:tester2': 'testing2', 'test5:tester5': 'testing5', 'test6:tester6': 'testing6',
}

# What is not compared, and so not recorded: see doc.go.
UNSTEADY = ('date', 'server', 'connection', 'keep-alive', 'transfer-encoding', 'x-trans-id', 'x-openstack-request-id')

NEAR = 30 * 24 * 60 * 60  # seconds: far more than a recording or a replay takes
PLACEHOLDER = re.compile(r'\{([a-z][a-z0-9_]*)\}')
MIN_CAPTURE = 6


def http_date(text):
    return calendar.timegm(time.strptime(text, '%a, %d %b %Y %H:%M:%S GMT'))


def iso_date(text):
    return calendar.timegm(time.strptime(text[:19], '%Y-%m-%dT%H:%M:%S'))


# Ids and times near to now become names. Another time is not of the server's clock, and stays.
PATTERNS = (
    ('txid', re.compile(r'tx[0-9a-f]{21}-[0-9a-f]{10}'), None),
    ('date', re.compile(r'[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT'), http_date),
    ('iso', re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{6}|\.\d{3})?Z?'), iso_date),
    ('timestamp', re.compile(r'\b\d{10}\.\d{5}\b'), float),
    ('epoch', re.compile(r'\b\d{10}\b'), float),
)


def normalise(text, now):
    """Puts names in place of what varies from run to run."""
    for name, pattern, when in PATTERNS:
        def put(m):
            try:
                near = when is None or abs(when(m.group()) - now) < NEAR
            except ValueError:
                near = False
            return '{%s}' % name if near else m.group()
        text = pattern.sub(put, text)
    return text


def extract(how, headers, body):
    """The value that a capture names: header:NAME, json:PATH or text:REGEX."""
    kind, _, what = how.partition(':')
    if kind == 'header':
        return headers[what.lower()]
    if kind == 'json':
        value = json.loads(body)
        for step in what.split('.'):
            value = value[int(step)] if isinstance(value, list) else value[step]
        return value if isinstance(value, str) else json.dumps(value)
    if kind == 'text':
        return re.search(what, body.decode()).group(1)
    raise ValueError('unknown capture %r' % how)


def sign_s3(user, key, method, path, headers, host, body):
    """The headers that sign a request for S3, by version 4."""
    def mac(k, text):
        return hmac.new(k, text.encode(), hashlib.sha256).digest()

    now = time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())
    scope = '%s/us-east-1/s3/aws4_request' % now[:8]
    more = {'X-Amz-Date': now, 'X-Amz-Content-Sha256': hashlib.sha256(body).hexdigest()}
    lines = {'host': host}
    for k, v in list(headers.items()) + list(more.items()):
        if k.lower() in ('host', 'content-md5', 'content-type') or k.lower().startswith('x-amz-'):
            lines[k.lower()] = ' '.join(v.split())
    url, _, query = path.partition('?')
    quoted = [(urllib.parse.quote(k, '-_.~'), urllib.parse.quote(v, '-_.~')) for k, v in urllib.parse.parse_qsl(query, True)]
    names = ';'.join(sorted(lines))
    canonical = '\n'.join([
        method, urllib.parse.quote(urllib.parse.unquote(url), "/-_.~"), '&'.join('%s=%s' % kv for kv in sorted(quoted)),
        ''.join('%s:%s\n' % kv for kv in sorted(lines.items())), names, more['X-Amz-Content-Sha256']])
    text = '\n'.join(['AWS4-HMAC-SHA256', now, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    k = ('AWS4' + key).encode()
    for part in scope.split('/'):
        k = mac(k, part)
    more['Authorization'] = 'AWS4-HMAC-SHA256 Credential=%s/%s,SignedHeaders=%s,Signature=%s' % (user, scope, names, mac(k, text).hex())
    return more


class Answer:
    """What came: status, headers by name in lower case, body as bytes, and whether it broke off."""

    def __init__(self, status, headers, body, cut):
        self.status, self.headers, self.body, self.cut = status, headers, body, cut


class Conversation:
    def __init__(self, url, keys=KEYS, also=()):
        """also: headers that are compared in this conversation though they are among UNSTEADY."""
        self.also = also
        self.netloc = urllib.parse.urlsplit(url).netloc
        self.keys, self.tokens, self.rows = keys, {'': None}, []
        self.values = {'fresh': 'f' + os.urandom(8).hex()}

    def expand(self, text):
        """Puts captured values in place of {name}."""
        return PLACEHOLDER.sub(lambda m: self.values[m.group(1)], text)

    def send(self, user, method, path, headers=None, body='', chunked=False, s3=False):
        """Asks, and records nothing."""
        headers = {k: self.expand(v) for k, v in (headers or {}).items()}
        path = self.expand(path)
        data = body if isinstance(body, bytes) else self.expand(body).encode()
        if s3:
            host = {k.lower(): v for k, v in headers.items()}.get('host', self.netloc)
            headers.update(sign_s3(user, self.keys[user], method, path, headers, host, data))
        elif self.token(user):
            headers.setdefault('X-Auth-Token', self.tokens[user])
        conn = http.client.HTTPConnection(self.netloc, timeout=60)
        names = {k.lower() for k in headers}
        conn.putrequest(method, path, skip_host='host' in names, skip_accept_encoding=True)
        if chunked:
            conn.putheader('Transfer-Encoding', 'chunked')
            data = (b'%x\r\n%s\r\n' % (len(data), data) if data else b'') + b'0\r\n\r\n'
        elif 'content-length' not in names:
            conn.putheader('Content-Length', str(len(data)))
        for k, v in headers.items():
            conn.putheader(k, v.encode())
        conn.endheaders()
        try:
            conn.send(data)
        except OSError:
            pass  # a server may refuse without reading: its answer is there all the same
        try:
            r = conn.getresponse()
        except ConnectionError:
            return Answer(0, {}, b'', True)
        cut = False
        try:
            got = r.read()
        except http.client.IncompleteRead as e:
            got, cut = e.partial, True
        answer = {}
        for k, v in r.getheaders():
            k, v = k.lower(), v.encode('latin-1').decode()
            answer[k] = answer[k] + ', ' + v if k in answer else v
        conn.close()
        return Answer(r.status, answer, got, cut)

    def token(self, user):
        if user not in self.tokens:
            r = self.send('', 'GET', '/auth/v1.0', {'X-Auth-User': user, 'X-Auth-Key': self.keys[user]})
            self.tokens[user] = r.headers['x-auth-token']
        return self.tokens[user]

    def name(self, text):
        """Puts {name} in place of captured values, the longest first, and of whatever else varies."""
        now = time.time()
        text = text.replace(self.netloc, '{host}')
        for name, value in sorted(self.values.items(), key=lambda kv: (-len(kv[1]), kv[0])):
            if normalise(value, now) == value:
                text = text.replace(value, '{%s}' % name)
        return normalise(text, now)

    def case(self, name, user, method, path, headers=None, body='', chunked=False, capture=None, apus=None, s3=False):
        """Asks and records.

        body: text in which {name} stands for captured values, or bytes that are sent as they are.
        s3: sign for S3 with the user's key, instead of sending a token.
        capture: what to keep of the answer: {name: 'header:ETag' or 'json:0.hash' or 'text:<Id>(.*?)</Id>'}.
        apus: what Apus answers otherwise, {'why': reason, 'status': ..., 'answer': {header: value or None}, 'text': ...}.
        """
        headers = dict(headers or {})
        row = {'name': name, 'user': user, 'method': method, 'path': path}
        if headers:
            row['header'] = headers
        if isinstance(body, bytes):
            row['base64'] = base64.b64encode(body).decode()
        elif body:
            row['body'] = body
        if chunked:
            row['chunked'] = True
        if s3:
            row['s3'] = True
        r = self.send(user, method, path, headers, body, chunked, s3)
        for key, how in (capture or {}).items():
            value = extract(how, r.headers, r.body)
            if len(value) < MIN_CAPTURE:
                raise ValueError('%s: %s is %r, too short to be found again' % (name, key, value))
            self.values[key] = value
        if capture:
            row['capture'] = capture
        row['status'], row['answer'] = r.status, self.steady(r)
        text = r.body
        mark = re.search(r'boundary="?([^";]+)', r.headers.get('content-type', ''))
        if mark:
            text = text.replace(mark.group(1).encode(), b'{boundary}')
            row['answer']['Content-Type'] = row['answer']['Content-Type'].replace(mark.group(1), '{boundary}')
        try:
            row['text'] = self.name(text.decode())
        except UnicodeDecodeError:
            row['text64'] = base64.b64encode(text).decode()
        if r.cut:
            row['cut'] = True
        if apus:
            row['apus'] = apus
        self.rows.append(row)
        return r

    def steady(self, r):
        """The headers that are compared, as they are compared."""
        out = {}
        for k, v in r.headers.items():
            if k in UNSTEADY and k.title() not in self.also or k == 'content-length' and r.status in (204, 304) or k == 'content-type' and r.status == 304:
                continue
            if k == 'allow':
                v = ', '.join(sorted(v.split(', ')))
            out[k.title()] = self.name(v)
        return out

    def empty(self, user, path):
        """Removes a container with all that is in it, and records nothing."""
        while True:
            rows = json.loads(self.send(user, 'GET', path + '?format=json').body or b'[]') if self.send(user, 'HEAD', path).status == 204 else []
            if not rows:
                break
            for row in rows:
                self.send(user, 'DELETE', path + '/' + urllib.parse.quote(row['name']))
        self.send(user, 'DELETE', path)

    def write(self):
        json.dump(dict({'also': self.also} if self.also else {}, rows=self.rows), sys.stdout, indent=1, ensure_ascii=False)
        sys.stdout.write('\n')
