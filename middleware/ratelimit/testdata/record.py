"""Records what OpenStack Swift's class RateLimitMiddleware does, with a clock and a cache of our own, for swift.json.

    python3 record.py > swift.json

It needs Swift's Python package, no server. The clock starts at the beginning of the year 2000.
"""
import json
import logging

from swift.common.middleware import ratelimit
from swift.common.swob import Request

scenarios = []


class Clock:
    now = 0.0
    slept = []


class Memcache:
    def __init__(self):
        self.data = {}

    def incr(self, key, delta=1, time=0):
        self.data[key] = max(int(self.data.get(key, 0)) + delta, 0) if key in self.data else max(delta, 0)
        return self.data[key]

    def decr(self, key, delta=1, time=0):
        return self.incr(key, -delta)

    def set(self, key, value, serialize=True, time=0):
        self.data[key] = int(value)


def sleep(t):
    Clock.slept.append(t)
    Clock.now += t


ratelimit.eventlet.sleep = sleep
ratelimit.time.time = lambda: Clock.now
infos = {}
ratelimit.get_account_info = lambda env, app, **kw: {'sysmeta': {'global-write-ratelimit': infos['global']} if infos['global'] else {}}
ratelimit.get_container_info = lambda env, app, **kw: {'object_count': infos['size']}


def scenario(name, conf, steps):
    """steps: (seconds to wait before, method, path, container's size, the account's global limit)"""
    Clock.now = 946684800.0
    memcache = Memcache()

    def app(env, start):
        start('200 OK', [])
        return [b'']

    mw = ratelimit.RateLimitMiddleware(app, conf, logger=logging.getLogger('x'))
    rows = []
    for wait, method, path, size, glob in steps:
        Clock.now += wait
        Clock.slept = []
        infos.update({'size': size, 'global': glob})
        res = Request.blank(path, method=method, environ={'swift.cache': memcache}).get_response(mw)
        rows.append({'wait': wait, 'method': method, 'path': path, 'size': size, 'global': glob, 'status': res.status_int,
                     'text': res.body.decode(), 'slept': sum(Clock.slept), 'counters': dict(memcache.data)})
    scenarios.append({'name': name, 'config': conf, 'rows': rows})


logging.disable(logging.CRITICAL)
P, O, C = '/v1/a/c/o', '/v1/a/c/o', '/v1/a/c'
scenario('nothing is limited', {}, [(0, m, p, 1000, '') for m in ('GET', 'PUT', 'POST', 'DELETE', 'COPY', 'HEAD') for p in ('/v1/a', C, O)])
scenario('containers of an account', {'account_ratelimit': '2'},
         [(0, m, p, 0, '') for p in (C, '/v1/a/d') for m in ('PUT', 'DELETE', 'POST', 'GET', 'HEAD')] + [(0, 'PUT', O, 0, ''), (0, 'PUT', '/v1/b/c', 0, ''), (1.3, 'PUT', C, 0, ''), (0.1, 'PUT', C, 0, '')])
scenario('catching up', {'account_ratelimit': '10', 'rate_buffer_seconds': '2'},
         [(0, 'PUT', C, 0, '')] * 3 + [(1.9, 'PUT', C, 0, '')] + [(0, 'PUT', C, 0, '')] * 22 + [(5, 'PUT', C, 0, '')] + [(0, 'PUT', C, 0, '')] * 3)
scenario('too fast', {'account_ratelimit': '1', 'max_sleep_time_seconds': '2.5'},
         [(0, 'PUT', C, 0, '')] * 3 + [(-3.0, 'PUT', C, 0, ''), (-1.0, 'PUT', C, 0, ''), (0, 'PUT', C, 0, '')])
limits = {'container_ratelimit_100': '50', 'container_ratelimit_200': '10', 'container_ratelimit_1000': '3'}
scenario('sizes', limits, [(0.01, 'PUT', '/v1/a/c%d/o' % n, n, '') for n in (0, 1, 99, 100, 150, 199, 200, 600, 999, 1000, 100000) for _ in range(3)])
scenario('methods', limits, [(0.01, m, O, 500, '') for m in ('PUT', 'POST', 'DELETE', 'COPY', 'GET', 'HEAD', 'PUT')] + [(0, 'GET', C, 500, '')])
scenario('a single point', {'container_ratelimit_10': '7'}, [(0.01, 'PUT', O, n, '') for n in (9, 10, 10, 5000, 0)])
scenario('a point at 0', {'container_ratelimit_0': '7'}, [(0.01, 'PUT', O, n, '') for n in (0, 0, 1, 1)])
scenario('no rate', {'container_ratelimit_10': '0'}, [(0.01, 'PUT', O, 20, '')] * 2)
scenario('listings', {'container_listing_ratelimit_100': '3', 'container_ratelimit_100': '5'}, [(0.01, m, C, 100, '') for m in ('GET', 'HEAD', 'GET', 'PUT', 'GET')] + [(0.01, 'PUT', O, 100, '')] * 2)
scenario('all writes of an account', {'account_ratelimit': '4', 'container_ratelimit_10': '3'},
         [(0.01, m, p, 50, '2') for p in ('/v1/a', C, O) for m in ('PUT', 'POST', 'DELETE', 'COPY', 'GET', 'HEAD')])
for value in ('0', '-1', 'word', ' 4 ', '0.5', '1e1', 'whitelist', 'nan', '3000', '2500.0'):
    scenario('all writes at %s' % value, {}, [(0.01, 'PUT', O, 50, value)] * 3)
scenario('whitelisted', {'account_ratelimit': '1'}, [(0, 'PUT', C, 0, 'WHITELIST')] * 3)
scenario('blacklisted', {'account_ratelimit': '1'}, [(0, m, p, 0, 'BLACKLIST') for m, p in (('GET', O), ('PUT', C), ('HEAD', '/v1/a'), ('OPTIONS', O))])
scenario('lists', {'account_ratelimit': '1', 'account_whitelist': 'a, w', 'account_blacklist': 'b,a'}, [(0, 'PUT', '/v1/%s/c' % a, 0, '') for a in ('a', 'a', 'b', 'c', 'c')])
scenario('accuracy', {'account_ratelimit': '3', 'clock_accuracy': '7'}, [(0.05, 'PUT', C, 0, '')] * 8)
scenario('other paths', {'account_ratelimit': '1'}, [(0, 'PUT', p, 0, '') for p in ('/v2/a/c', '/v2/a/c', '/v1', '/info', '/v1.0/a/c', '/v1/a/c/', '/v1/a/', '/', '/v1.0/a/c')])
print(json.dumps({'scenarios': scenarios}, indent=1))
