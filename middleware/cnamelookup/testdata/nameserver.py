"""A name server on loopback that knows zone.json, for the scripts that record. It needs dnspython."""
import json
import os
import socketserver
import struct
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'zone.json')) as f:
    ZONE = json.load(f)


def respond(wire, udp):
    query = dns.message.from_wire(wire)
    name = query.question[0].name.to_text()
    entry = ZONE.get(name.lower())
    answer = dns.message.make_response(query)
    if entry is None:
        answer.set_rcode(dns.rcode.NXDOMAIN)
    elif 'rcode' in entry:
        answer.set_rcode(dns.rcode.from_text(entry['rcode']))
    elif udp and entry.get('truncated'):
        answer.flags |= dns.flags.TC
    else:
        if 'cname' in entry:
            answer.answer.append(dns.rrset.from_text(name, entry['ttl'], 'IN', 'CNAME', entry['cname']))
        if 'with' in entry:
            answer.answer.append(dns.rrset.from_text(entry['cname'], 5, 'IN', 'A', entry['with']))
    return answer.to_wire()


class UDP(socketserver.BaseRequestHandler):
    def handle(self):
        wire, sock = self.request
        sock.sendto(respond(wire, True), self.client_address)


class TCP(socketserver.BaseRequestHandler):
    def handle(self):
        n, = struct.unpack('!H', self.request.recv(2))
        wire = respond(self.request.recv(n), False)
        self.request.sendall(struct.pack('!H', len(wire)) + wire)


def start(port):
    """Serves a port, any if it is 0, as long as the process runs, and returns it."""
    udp = socketserver.ThreadingUDPServer(('127.0.0.1', port), UDP)
    port = udp.server_address[1]
    tcp = socketserver.ThreadingTCPServer(('127.0.0.1', port), TCP)
    for server in (udp, tcp):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    return port
