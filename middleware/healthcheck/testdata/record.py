"""Records what OpenStack Swift answers to health checks, and to requests that look like them, for swift.json.

    python3 record.py http://HOST:PORT > swift.json

The server must have tempauth's user test:tester, and the filter healthcheck without a disable_path.
"""
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

c = Conversation(sys.argv[1])
for method in ('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'OPTIONS', 'COPY', 'BREW'):
    c.case(method, '', method, '/healthcheck')
for path in ('/healthcheck?x=y', '/healthcheck%3Fx', '/healthcheck/', '/healthcheck/x', '//healthcheck', '/%68ealthcheck', '/healthcheck%2F', '/Healthcheck', '/healthchecks',
             '/v1/healthcheck', '/healthcheck%00'):
    c.case('GET ' + path, '', 'GET', path)
c.case('with a token', 'test:tester', 'GET', '/healthcheck')
c.case('with a bad token', '', 'GET', '/healthcheck', {'X-Auth-Token': 'nonsense'})
c.case('with a body', '', 'PUT', '/healthcheck', body='body')
c.case('with a body of unknown length', '', 'POST', '/healthcheck', body='body', chunked=True)
c.case('a range', '', 'GET', '/healthcheck', {'Range': 'bytes=0-0'})
c.case('a condition', '', 'GET', '/healthcheck', {'If-None-Match': '*'})
c.case('another type', '', 'GET', '/healthcheck', {'Accept': 'application/json'})
c.case('another host', '', 'GET', '/healthcheck', {'Host': 'c.AUTH-x.example.com'})
c.write()
