"""Records what OpenStack Swift's filter makes of hosts, for swift.json.

    /usr/bin/python3 record.py > swift.json

The filter runs here, in front of an app that tells which host it was asked for, and asks a name server of this process, on
loopback, that knows zone.json. It needs Swift and dnspython.
"""
import json

from swift.common.middleware import cname_lookup
from swift.common.swob import Request, Response

import nameserver

PORT = nameserver.start(0)


def app(env, start_response):
    headers = {k: env['HTTP_X_' + k.upper().replace('-', '_')] for k in ('Location', 'Content-Location')
               if 'HTTP_X_' + k.upper().replace('-', '_') in env}
    r = Response(request=Request(env), status=200, headers=headers, body=env['HTTP_HOST'])
    r.absolute_location = lambda: headers.get('Location')
    return r(env, start_response)


class Cache(dict):
    def __bool__(self):
        return True

    def get(self, key):
        return self[key][0] if key in self else None

    def set(self, key, value, time=0):
        self[key] = (value, time)


rows = []


def case(name, host, config=None, cached=None, headers=None, method='GET', apus=None):
    """cached are the cache's entries before the request; what it has set is recorded."""
    conf = dict({'nameservers': '127.0.0.1:%d' % PORT}, **(config or {}))
    filter_ = cname_lookup.CNAMELookupMiddleware(app, conf)
    cache = Cache({k: (v, None) for k, v in (cached or {}).items()})
    req = Request.blank('/v1/a', environ={'REQUEST_METHOD': method, 'swift.cache': cache}, headers=dict({'Host': host}, **(headers or {})))
    r = req.get_response(filter_)
    row = {'name': name, 'host': host, 'config': config or {}, 'method': method, 'header': headers or {}, 'cached': cached or {},
           'status': r.status_int, 'text': r.body.decode(), 'answer': {k: v for k, v in r.headers.items() if k != 'Content-Length'},
           'set': {k: {'value': v, 'ttl': ttl} for k, (v, ttl) in cache.items() if ttl is not None}}
    if apus:
        row['apus'] = apus
    rows.append(row)


DEEP = {'lookup_depth': '3'}
ALIAS = 'c.AUTH-a.example.com'
for host in ('www.customer.test', 'www.customer.test:8080', 'short.customer.test', 'zero.customer.test', 'root.customer.test',
             'other.customer.test', 'like.customer.test', 'two.customer.test', 'self.customer.test', 'loop-a.customer.test',
             'dead.customer.test', 'upper.customer.test', 'address.customer.test', 'aliased.customer.test', 'failing.customer.test',
             'refused.customer.test', 'odd_name.customer.test', 'large.customer.test', 'missing.customer.test', 'WWW.customer.test.:80',
             'localhost', 'a..b', '.', 'x' * 64 + '.test', '.'.join(['x' * 60] * 5), 'www.customer.test:port', 'www.customer.test:'):
    case(host if len(host) < 40 else 'a long name', host)
for host in ('example.com', 'example.com:8080', ALIAS, 'a.b.c.d.example.com:1', '127.0.0.1', '127.0.0.1:8080', '10.1.2.3:'):
    case('left alone: ' + host, host)
case('a bare address of IPv6', '::1:80')
for name, host in (('IPv6', '[::1]'), ('IPv6 with a port', '[2001:db8::1]:8080')):
    case(name, host, apus={'why': 'an address is an address', 'status': 200, 'text': host, 'set': {},
                           'answer': {'Content-Type': 'text/html; charset=UTF-8'}})
chain = 'each name is cached under its own key'


def chained(text=None, **kw):
    return {'why': chain, 'text': text, 'set': {'cname-' + k.replace('_', '-') + '.customer.test': v for k, v in kw.items()}}


WWW = {'value': ALIAS, 'ttl': 300}
TWO = {'value': 'www.customer.test', 'ttl': 600}
case('two deep', 'two.customer.test', {'lookup_depth': '2'}, apus=chained(two=TWO, www=WWW))
case('three deep', 'three.customer.test', DEEP, apus=chained(three={'value': 'two.customer.test', 'ttl': 900}, two=TWO, www=WWW))
case('too deep', 'three.customer.test', {'lookup_depth': '2'}, apus=chained(three={'value': 'two.customer.test', 'ttl': 900}, two=TWO))
case('a loop', 'loop-a.customer.test', DEEP, apus=chained(
    text='CNAME lookup failed after 3 tries', loop_a={'value': 'loop-b.customer.test', 'ttl': 300}, loop_b={'value': 'loop-a.customer.test', 'ttl': 300}))
case('a loop of one', 'self.customer.test', DEEP)
case('a dead end', 'dead.customer.test', DEEP, apus=chained(
    dead={'value': 'missing.customer.test', 'ttl': 300}, missing={'value': False, 'ttl': 60}))
case('known', 'unheard.of.test', cached={'cname-unheard.of.test': ALIAS})
case('known not to be', 'www.customer.test', cached={'cname-www.customer.test': False})
case('known, and then asked', 'unheard.of.test', DEEP, cached={'cname-unheard.of.test': 'www.customer.test'},
     apus={'why': chain, 'set': {'cname-www.customer.test': WWW}})
case('known, two deep', 'two.customer.test', DEEP, cached={'cname-two.customer.test': 'www.customer.test', 'cname-www.customer.test': ALIAS})
case('another domain', 'www.customer.test', {'storage_domain': 'storage.test'})
case('several domains', 'www.customer.test', {'storage_domain': 'storage.test, .example.com'})
case('a domain with a dot', 'example.com', {'storage_domain': '.example.com'})
case('no domain', 'www.customer.test', {'storage_domain': ''})
HTTP = 'http://c.AUTH-a.example.com'
for location in (HTTP + '/v1/a', HTTP, 'https' + HTTP[4:] + '/', HTTP + ':8080/v1', HTTP + '.org/v1', 'http://example.com/v1', '/v1/a', 'ftp' + HTTP[4:] + '/'):
    case('sent to ' + location, 'www.customer.test', headers={'X-Location': location})
    case('found at ' + location, 'www.customer.test', headers={'X-Content-Location': location})
    case('sent to %s, with a port' % location, 'www.customer.test:8080', headers={'X-Location': location})
case('HEAD', 'missing.customer.test', method='HEAD')
case('PUT', 'www.customer.test', method='PUT')
for config in ({'nameservers': 'localhost'}, {'nameservers': '127.0.0.1:x'}, {'nameservers': '::1'}, {'nameservers': '127.0.0.1, [::1'}):
    try:
        cname_lookup.CNAMELookupMiddleware(app, config)
        raise SystemExit('%s is accepted' % config)
    except ValueError:
        pass
print(json.dumps({'rows': rows}, indent=1))
