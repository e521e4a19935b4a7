"""Records what OpenStack Swift's class ReadOnlyMiddleware answers, in front of an app that says what it got, for swift.json.

    python3 record.py > swift.json

It needs Swift's Python package, no server.
"""
import json

from swift.common.middleware import read_only
from swift.common.swob import Request

rows = []


def case(name, conf, accounts, method, path, headers=None):
    """accounts: the value of the sysmeta of each account that has one."""
    passed = []

    def app(env, start):
        passed.append(env['REQUEST_METHOD'] + ' ' + env['PATH_INFO'])
        start('200 OK', [])
        return [b'']

    old = read_only.get_info
    read_only.get_info = lambda app, env, account, **kw: {'sysmeta': {'read-only': accounts[account]} if account in accounts else {}}
    try:
        req = Request.blank(path, method=method, headers=headers or {})
        res = req.get_response(read_only.filter_factory({}, **conf)(app))
        status, text, kind = res.status_int, res.body.decode(), res.headers.get('Content-Type')
    except Exception as e:
        status, text, kind = e.status_int, e.body.decode(), 'text/html; charset=UTF-8'
    finally:
        read_only.get_info = old
    rows.append({'name': name, 'config': conf, 'accounts': accounts, 'method': method, 'path': path, 'header': headers or {},
                 'passed': bool(passed), 'status': status, 'text': text, 'type': '' if passed else kind})


ON, OFF, DELETES = {'read_only': 'true'}, {}, {'read_only': 'true', 'allow_deletes': 'true'}
for method in ('GET', 'HEAD', 'PUT', 'POST', 'DELETE', 'COPY', 'OPTIONS', 'BREW'):
    for label, conf in (('on', ON), ('off', OFF), ('deletes', DELETES)):
        case('%s, %s' % (method, label), conf, {}, method, '/v1/a/c/o')
for path in ('/v1/a', '/v1/a/', '/v1/a/c', '/v1/a/c/', '/v1/a/c/o/p//', '/v1.0/a/c/o', '/v2/a/c/o', '/v1', '/v1/', '/', '/info', '/v1//c/o', '/auth/v1.0'):
    case('PUT ' + path, ON, {}, 'PUT', path)
for value in ('true', 'false', 'True', 'yes', 'no', '', '0', '1', 'nonsense'):
    case('the account says %r to on' % value, ON, {'a': value}, 'PUT', '/v1/a/c/o')
    case('the account says %r to off' % value, OFF, {'a': value}, 'DELETE', '/v1/a/c/o')
for value in ('b', 'a', '', 'b/c', 'b%2Fc'):
    h = {'Destination-Account': value, 'Destination': 'c/o'}
    case('COPY to %r, which may not' % value, OFF, {'b': 'true'}, 'COPY', '/v1/a/c/o', h)
    case('COPY to %r, which may' % value, ON, {'b': 'false'}, 'COPY', '/v1/a/c/o', h)
case('PUT with a destination for COPY', OFF, {'b': 'true'}, 'PUT', '/v1/a/c/o', {'Destination-Account': 'b'})
case('PUT from an account that may not', OFF, {'b': 'true'}, 'PUT', '/v1/a/c/o', {'X-Copy-From-Account': 'b', 'X-Copy-From': 'c/o'})
print(json.dumps({'rows': rows}, indent=1))
