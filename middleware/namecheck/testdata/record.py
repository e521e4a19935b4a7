"""Records what OpenStack Swift's class NameCheckMiddleware answers, in front of an app that says 200, for swift.json.

    python3 record.py > swift.json

It needs Swift's Python package, no server.
"""
import json
import logging

from swift.common.middleware import name_check
from swift.common.swob import Request

rows = []
log = logging.getLogger('x')


def case(name, path, conf=None, method='GET'):
    def app(env, start):
        start('200 OK', [('Content-Type', 'text/x-app')])
        return [b'app']

    res = Request.blank(path, method=method).get_response(name_check.filter_factory({}, **(conf or {}))(app))
    rows.append({'name': name, 'config': conf or {}, 'method': method, 'path': path, 'status': res.status_int,
                 'text': res.body.decode(), 'type': res.headers['Content-Type']})


case('an object', '/v1/a/c/o')
for c in ('%27', '%22', '%60', '%3C', '%3E', '%26', '%00', '%0A', '%5C', '%7F', '%C3%A9', '%FF'):
    case('character ' + c, '/v1/a/c/o' + c)
case('a character in the account', '/v1/a%3C/c/o')
case('a character in the query', '/v1/a/c/o?x=%3C')
case('not an API path', '/info%3E')
case('a character quoted twice', '/v1/a/c/%253C')
for n in (254, 255, 256):
    case('%d characters' % n, '/' + 'x' * (n - 1))
    case('%d characters of two bytes' % n, '/' + '%C3%A9' * (n - 1))
    case('%d characters that are none' % n, '/' + '%FF' * (n - 1))
for tail in ('.', '..', './', '../', './x', '../x', '...', '.x', 'x.', 'x..', '/.', '%2E', '%2e%2E/x', '.%0A', '%2F..'):
    case('a path with ' + tail, '/v1/a/c/' + tail)
case('all at once', '/v1/a/../<' + 'x' * 300)
case('long and with dots', '/v1/a/../' + 'x' * 300)
case('other characters', '/v1/a/c/<x', {'forbidden_chars': ':é'})
case('another character', '/v1/a/c/%C3%A9', {'forbidden_chars': ':é'})
case('half a character', '/v1/a/c/%C3', {'forbidden_chars': ':é'})
case('no characters', '/v1/a/c/<', {'forbidden_chars': ''})
case('a small length', '/v1/a/c/o', {'maximum_length': '8'})
case('just the length', '/v1/a/c/o', {'maximum_length': '9'})
case('no pattern', '/v1/a/c/../o', {'forbidden_regexp': ''})
case('another pattern', '/v1/a/c/tmp123', {'forbidden_regexp': 'tmp[0-9]+$'})
case('a pattern that does not match', '/v1/a/c/tmp123x', {'forbidden_regexp': 'tmp[0-9]+$'})
case('HEAD', '/v1/a/c/<', method='HEAD')
case('PUT', '/v1/a/c/<', method='PUT')
print(json.dumps({'rows': rows}, indent=1))
