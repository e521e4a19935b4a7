"""Records what an OpenStack Swift with proxy-logging answers, for http.json, and the lines that it logs, for http_lines.json.

    python3 http_record.py http://HOST:PORT UDPPORT http_lines.json > http.json

The pipeline is that of http_test.go, and the filter sends its lines to the port, on which this script listens. A container of
AUTH_test is made and removed. Each request's User-Agent tells its line.
"""
import json
import os
import socket
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '../../../internal/replay'))
from record import Conversation

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(('127.0.0.1', int(sys.argv[2])))
udp.settimeout(10)
c = Conversation(sys.argv[1])
T, C = 'test:tester', '/v1/AUTH_test/log-c'
lines = []


def case(name, user, method, path, headers=None, body='', **kw):
    agent = 'row-%d' % len(c.rows)
    c.case(name, user, method, path, dict(headers or {}, **{'User-Agent': agent}), body, **kw)
    while True:
        line = udp.recv(1 << 16).decode().rstrip('\0').split(': ', 1)[1]
        if line.split(' ')[8] == agent:
            break
    lines.append(line)


c.empty(T, C)
case('a token', '', 'GET', '/auth/v1.0', {'X-Auth-User': T, 'X-Auth-Key': 'testing'}, capture={'token': 'header:X-Auth-Token'})
case('no token', '', 'GET', '/auth/v1.0', {'X-Auth-User': T})
case('a container', T, 'PUT', C)
case('an object', T, 'PUT', C + '/o', {'Content-Type': 'text/x-o', 'ETag': '9a0364b9e99bb480dd25e1f0284c8555'}, 'content')
case('an object in chunks', T, 'PUT', C + '/chunks', body='content', chunked=True)
case('another ETag', T, 'PUT', C + '/bad', {'ETag': 'x'}, 'content')
for method in ('GET', 'HEAD', 'POST', 'OPTIONS', 'BREW'):
    case(method, T, method, C + '/o')
case('a range', T, 'GET', C + '/o', {'Range': 'bytes=1-2'})
case('no such range', T, 'GET', C + '/o', {'Range': 'bytes=10-'})
case('as it is', T, 'GET', C + '/o', {'If-None-Match': '9a0364b9e99bb480dd25e1f0284c8555'})
case('a listing', T, 'GET', C + '?prefix=o&format=json')
case('an odd name', T, 'PUT', C + '/a%20b%25%C3%A9%3F', body='x')
case('and its query', T, 'GET', C + '/a%20b%25%C3%A9%3F?x=%20y&z')
case('a signature', T, 'GET', C + '/o?temp_url_sig=0123456789abcdef0123456789abcdef&temp_url_expires=1')
case('one from somewhere', T, 'GET', C + '/o', {'Referer': 'http://www.example.com/a b', 'X-Forwarded-For': '192.0.2.1, 192.0.2.2'})
case('through a balancer', T, 'GET', C + '/o', {'X-Cluster-Client-Ip': '192.0.2.3'})
case('not there', T, 'GET', C + '/none')
case('nobody', '', 'GET', C + '/o')
case('a token of nobody', '', 'GET', C + '/o', {'X-Auth-Token': 'AUTH_tk0'})
case('a bad path', T, 'GET', '/v1/AUTH_test//o')
case('no path of the API', T, 'GET', '/nowhere')
case('info', '', 'OPTIONS', '/info')
for name in ('/o', '/chunks', '/a%20b%25%C3%A9%3F', ''):
    case('DELETE of ' + (name or 'the container'), T, 'DELETE', C + name)
c.write()
with open(sys.argv[3], 'w') as f:
    json.dump(lines, f, indent=1)
    f.write('\n')
