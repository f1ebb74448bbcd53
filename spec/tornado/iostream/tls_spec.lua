-- tornado.iostream with TLS: start_tls(), SSLIOStream, servers and clients with ssl_options; beside
-- OpenSSL's own client and server, and Tornado. PARITY §9, §12; RFC 8446 §6.1, RFC 6125.
local core = require "tornado.core"
local gen = require "tornado.gen"
local iostream = require "tornado.iostream"
local netutil = require "tornado.netutil"
local process = require "tornado.process"
local tcpclient = require "tornado.tcpclient"
local tcpserver = require "tornado.tcpserver"
local testing = require "tornado.testing"
local util = require "tornado.util"
local web = require "tornado.web"

local peers = dofile "spec/tornado/httpclient/peers.lua"

local folder

local function raised(class, fn, ...)
    local ok, err = pcall(fn, ...)
    assert.is_false(ok)
    assert.is_true(util.isinstance(err, class), tostring(err))
    return err
end

local function files(name)
    return { certfile = folder .. "/" .. name .. ".pem", keyfile = folder .. "/" .. name .. ".key" }
end

local function trusting(options)
    options = options or {}
    options.ca_certs = folder .. "/ca.pem"
    return options
end

-- Two streams over TCP that the case closes.
local function tcp()
    local accepted
    local socket = netutil.bind_sockets(0, "127.0.0.1")[1]
    netutil.add_accept_handler(socket, function(stream) accepted = stream end)
    local a = iostream.IOStream()
    finally(function()
        a:close()
        if accepted then accepted:close() end
    end)
    a:connect(socket:address())
    testing.wait_until(function() return accepted end)
    socket:close()
    return a, accepted
end

-- The same with TLS; what the server's side raised, if it did.
local function secured(client_options, server_options, host)
    local a, b = tcp()
    local server = gen.spawn(b.start_tls, b, true, server_options or files "good")
    local ok, client = pcall(a.start_tls, a, false, client_options or trusting(),
        host or "127.0.0.1")
    local good, other = pcall(gen.await, server)
    finally(function()
        if ok then client:close() end
        if good then other:close() end
    end)
    return client, other
end

-- A TCPServer with `fn` as handle_stream; its port.
local function serve(fn, options)
    local Server = tcpserver.TCPServer:extend "Server"
    function Server.handle_stream(_, stream, address) fn(stream, address) end
    local server = Server(options)
    finally(function()
        server:stop()
        testing.wait_until(function() return server.connections == 0 end)
    end)
    return server:listen(0, "127.0.0.1")[1]:port(), server
end

local function echo(stream)
    pcall(function()
        while true do stream:write(stream:read_until("\n")) end
    end)
    stream:close()
end

local function connect(port, options)
    options.timeout = options.timeout or 5
    local stream = tcpclient.TCPClient():connect("127.0.0.1", port, options)
    finally(function() stream:close() end)
    return stream
end

-- A program that ends with the case.
local function start(args, options)
    local child = process.Subprocess(args, options)
    finally(function()
        child:stop(0.1)
        for _, name in ipairs { "stdin", "stdout", "stderr" } do
            if child[name] then child[name]:close() end
        end
    end)
    return child
end

local STREAM, NULL = process.Subprocess.STREAM, process.Subprocess.NULL

describe("TLS on streams", function()
    setup(function() folder = peers.certificates() end)
    teardown(peers.remove_certificates)

    it("begins in the middle of a connection", function()
        local a, b = tcp()
        local closed
        b:set_close_callback(function() closed = true end)
        local server = gen.spawn(function()
            assert.equal("STARTTLS\r\n", b:read_until("\r\n"))
            b:write("220 ready\r\n")
            return b:start_tls(true, { certfile = folder .. "/good.pem",
                keyfile = folder .. "/good.key", alpn = { "x", "echo" } })
        end)
        a:write("STARTTLS\r\n")
        assert.equal("220 ready\r\n", a:read_until("\r\n"))
        local client = a:start_tls(false, trusting { alpn = { "echo" } }, "localhost")
        server = gen.await(server)
        assert.is_true(a:closed() and b:closed())
        assert.equal(iostream.SSLIOStream, client.class)
        raised(iostream.StreamClosedError, a.write, a, "x")
        for _, side in ipairs { client, server } do
            local tls = side:tls()
            assert.equal("TLSv1.3", tls.version)
            assert.equal("echo", tls.protocol)
            assert.equal("localhost", tls.server_name)
            assert.is_false(tls.resumed)
            assert.matches("^TLS_", tls.cipher)
        end
        assert.same({ { { "commonName", "good" } } }, client:get_ssl_certificate().subject)
        assert.equal(48, client:get_ssl_certificate(true):byte())
        assert.is_nil(server:get_ssl_certificate())
        client:write("over TLS\n")
        assert.equal("over TLS\n", server:read_until("\n"))
        assert.is_nil(closed)
        client:close()
        testing.wait_until(function() return closed end)
        assert.is_nil(server.error)
        assert.is_nil(client:tls())
    end)

    it("refuses a stream that is not idle: what came before is not protected", function()
        local a, b = tcp()
        a:write("STARTTLS\r\nMAIL FROM:<mallory>\r\n")
        b:read_until("\r\n")
        local _, err = pcall(b.start_tls, b, true, files "good")
        assert.matches("IOStream is not idle; cannot convert to SSL", err)
        assert.equal("MAIL FROM:<mallory>\r\n", b:read_until("\r\n"))
        local reading = gen.spawn(pcall, b.read_bytes, b, 1)
        gen.moment()
        _, err = pcall(b.start_tls, b, true, files "good")
        assert.matches("IOStream is not idle", err)
        b:close()
        gen.await(reading)
        -- What is still in the socket is no beginning of TLS.
        a, b = tcp()
        a:write("STARTTLS\r\n")
        b:read_until("\r\n")
        a:write("MAIL FROM:<mallory>\r\n")
        err = raised(netutil.SSLError, b.start_tls, b, true, files "good")
        assert.equal("plain text where TLS should begin", err.message)
    end)

    it("verifies who is there, if nothing else is said", function()
        for pattern, case in pairs {
            ["certificate verify failed: .*IP address mismatch"] = { "wrong", trusting() },
            ["certificate verify failed: certificate has expired"] = { "late", trusting() },
            ["certificate verify failed: .*self.signed certificate"] = { nil, trusting() },
            ["certificate verify failed: unable to get local issuer certificate"] =
                { "good", {} },
        } do
            local server = case[1] and files(case[1]) or { self_signed = true }
            local err, other = secured(case[2], server)
            assert.is_true(util.isinstance(err, netutil.SSLError), tostring(err))
            assert.matches(pattern, err.message)
            assert.equal("EPROTO", err.code)
            assert.is_true(util.isinstance(other, netutil.SSLError), tostring(other))
        end
        local err = secured(trusting(), files "good", "elsewhere.test")
        assert.matches("certificate verify failed: hostname mismatch", err.message:lower())
        assert.is_true(util.isinstance(secured(trusting(), files "wrong", "elsewhere.test"),
            iostream.SSLIOStream))
        assert.is_true(util.isinstance(secured({ cert_reqs = "none" }, files "late"),
            iostream.SSLIOStream))
        local a = tcp()
        err = raised(netutil.SSLError, a.start_tls, a, false)
        assert.matches("expected the host's name", err.message)
        assert.is_false(a:closed())
    end)

    it("shows and asks for clients' certificates", function()
        local server = files "good"
        server.cert_reqs, server.ca_certs = "required", folder .. "/ca.pem"
        local me = trusting(files "client")
        local client, other = secured(me, server)
        assert.same({ { { "commonName", "client" } } }, other:get_ssl_certificate().subject)
        client:write("x")
        assert.equal("x", other:read_bytes(1))
        client, other = secured(trusting(), server)
        assert.matches("peer did not return a certificate", other.message)
        local err = raised(iostream.StreamClosedError, client.read_bytes, client, 1)
        assert.is_true(util.isinstance(err.real_error, netutil.SSLError), tostring(err))
    end)

    it("moves 10 MiB both ways at once", function()
        local a, b = secured()
        local size = 10 * 1048576
        local text = ("0123456789abcdef"):rep(65536)
        local function send(stream)
            for _ = 1, size / #text do stream:write(text) end
        end
        local function receive(stream)
            local got = {}
            for i = 1, size / #text do
                got[i] = stream:read_bytes(#text, { timeout = 20 }) == text
                if i % 3 == 0 then gen.moment() end
            end
            return got
        end
        local writers = { gen.spawn(send, a), gen.spawn(send, b) }
        local readers = { gen.spawn(receive, a), gen.spawn(receive, b) }
        for i = 1, 2 do
            for _, same in ipairs(gen.await(readers[i])) do assert.is_true(same) end
            gen.await(writers[i])
        end
    end)

    it("holds a writer back until the other side reads", function()
        local a, b = secured()
        local text = ("x"):rep(16 * 1048576)
        local writing = gen.spawn(a.write, a, text)
        for _ = 1, 100 do gen.moment() end
        assert.is_false(writing:done())
        assert.is_true(a:writing())
        assert.equal(#text, #b:read_bytes(#text, { timeout = 20 }))
        gen.await(writing)
        raised(util.TimeoutError, a.write, a, text, { timeout = 0.01 })
        assert.equal(#text, #b:read_bytes(#text, { timeout = 20 }))
    end)

    it("ends one side, and the other one goes on", function()
        local a, b = secured()
        a:write("question")
        a:end_writing()
        assert.equal("question", b:read_bytes(8))
        b:write("answer")
        assert.equal("answer", a:read_bytes(6))
        b:close()
        assert.equal("", a:read_until_close())
        assert.is_nil(a.error)
    end)

    it("tells an end from a connection that was cut", function()
        local a, b = secured()
        b:write("all of it")
        b:close()
        assert.equal("all of it", a:read_until_close())
        assert.is_nil(a.error)
        local child = start({ "openssl", "s_server", "-accept", "127.0.0.1:0", "-cert",
            folder .. "/good.pem", "-key", folder .. "/good.key" },
            { stdin = STREAM, stdout = STREAM, stderr = NULL })
        local port = child.stdout:read_until_regex("ACCEPT [^\n]*:\\d+\n"):match(":(%d+)\n$")
        local stream = connect(tonumber(port), { ssl_options = trusting() })
        child.stdin:write("half of it\n")
        assert.equal("half", stream:read_bytes(4, { timeout = 5 }))
        child:kill "KILL"
        local err = raised(iostream.StreamClosedError, stream.read_until_close, stream,
            { timeout = 5 })
        assert.is_true(util.isinstance(err.real_error, netutil.SSLError), tostring(err))
        assert.equal("the connection ended before the TLS session", err.real_error.message)
        assert.equal(" of it\n", stream:read_until_close())
    end)

    it("tells resets, and a peer that leaves in the handshake", function()
        local a, b = secured()
        core.channel_close(b._channel, true)
        b._channel = nil
        b:close()
        local err = raised(iostream.StreamClosedError, a.read_until_close, a)
        assert.is_true(util.isinstance(err.real_error, iostream.SocketError), tostring(err))
        assert.equal("ECONNRESET", err.real_error.code)
        a, b = tcp()
        b:close()
        err = raised(netutil.SSLError, a.start_tls, a, false, trusting(), "127.0.0.1")
        assert.equal("the peer left during the handshake", err.message)
        assert.equal("ECONNABORTED", err.code)
    end)

    it("tells a reset at once behind records that come with it", function()
        local a, b = secured()
        local reading = gen.spawn(a.read_until, a, "\n")
        gen.moment()
        b:write("all\npart")
        core.channel_close(b._channel, true)
        b._channel = nil
        b:close()
        assert.equal("all\n", gen.await(reading))
        local err = raised(iostream.StreamClosedError, a.read_until, a, "\n", { timeout = 2 })
        assert.equal("ECONNRESET", err.real_error.code)
    end)

    it("gives up a handshake at its time, or when cancelled", function()
        local a = tcp()
        raised(util.TimeoutError, a.start_tls, a, false, trusting(), "127.0.0.1",
            { timeout = 0.02 })
        local _, b = tcp()
        raised(util.TimeoutError, gen.with_timeout, 0.02, function()
            return b:start_tls(true, files "good")
        end)
        assert.is_true(a:closed() and b:closed())
    end)

    it("is what SSLIOStream connects with", function()
        local port = serve(echo, { ssl_options = files "good" })
        local stream = iostream.SSLIOStream(nil, { ssl_options = trusting(),
            read_chunk_size = 1000 })
        finally(function() stream:close() end)
        assert.equal(stream, stream:connect({ "127.0.0.1", port }, { timeout = 5 }))
        assert.equal(stream, stream:wait_for_handshake())
        stream:write("line\n")
        assert.equal("line\n", stream:read_until("\n", { timeout = 5 }))
        assert.equal(1000, stream.read_chunk_size)
        testing.expect_log("warning", "SSL Error on 127.0.0.1: .*alert")
        local other = iostream.SSLIOStream(nil, { ssl_options = trusting() })
        local err = raised(netutil.SSLError, other.connect, other, { "127.0.0.1", port },
            { server_hostname = "elsewhere.test" })
        assert.matches("hostname mismatch", err.message:lower())
        assert.is_true(other:closed())
        other = iostream.SSLIOStream()
        err = raised(iostream.StreamClosedError, other.connect, other, { "127.0.0.1", 1 })
        assert.equal("ECONNREFUSED", err.real_error.code)
    end)

    it("takes descriptors, and shakes hands with the first byte", function()
        local a, b = core.pair()
        local server = netutil.ssl_wrap_socket(a, files "good", nil, true)
        local client = iostream.SSLIOStream(b, { ssl_options = trusting(),
            server_hostname = "localhost" })
        local writing = gen.spawn(server.write, server, "hello")
        local second = gen.spawn(client.wait_for_handshake, client)
        local _, err = pcall(client.wait_for_handshake, client)
        assert.matches("Already waiting", err)
        gen.await(second)
        assert.equal("hello", client:read_bytes(5))
        gen.await(writing)
        client:close()
        server:close()
    end)

    it("reads the system's authorities once for like options, not for each connection", function()
        local tls = require "tornado.netutil.tls"
        local make, made = tls.ssl_options_to_context, 0
        finally(function() tls.ssl_options_to_context = make end)
        function tls.ssl_options_to_context(...)
            made = made + 1
            return make(...)
        end
        for _, given in ipairs { {}, { ssl_version = "TLSv1.3" }, { cert_reqs = "none" } } do
            local before
            for _ = 1, 3 do
                local a = tcp()
                raised(util.TimeoutError, a.start_tls, a, false, given, "a.test",
                    { timeout = 0.001 })
                before = before or made
            end
            assert.equal(before, made)
        end
        local a = tcp()
        raised(tls.SSLError, a.start_tls, a, false, { ca_certs = "/no/such" }, "a.test")
        assert.has_error(function() a:start_tls(false, { zork = "1" }, "a.test") end)
        assert.has_error(function() a:start_tls(false, 5, "a.test") end)
    end)

    it("makes contexts of options, or takes them", function()
        local context = netutil.ssl_options_to_context(files "good", true)
        finally(function() context:close() end)
        local port = serve(echo, { ssl_options = context })
        local mine = netutil.ssl_options_to_context(trusting())
        for _ = 1, 2 do
            local stream = connect(port, { ssl_options = mine })
            stream:write("line\n")
            assert.equal("line\n", stream:read_until("\n", { timeout = 5 }))
        end
        local err = raised(netutil.SSLError, connect, port, { ssl_options = context })
        assert.equal("the SSLContext is one for the other side", err.message)
        mine:close()
        err = raised(netutil.SSLError, connect, port, { ssl_options = mine })
        assert.equal("the TLS context is closed", err.message)
        assert.matches("ssl_options: missing key certfile",
            select(2, pcall(tcpserver.TCPServer, { ssl_options = {} })))
        raised(netutil.SSLError, tcpserver.TCPServer, { ssl_options = { certfile = "/none" } })
    end)

    it("lets a server outlive clients that are wrong, leave or say nothing", function()
        local port, server = serve(echo, { ssl_options = files "good", handshake_timeout = 0.05 })
        testing.expect_log("warning", "SSL Error on 127.0.0.1: plain text where TLS should begin")
        local plain = connect(port, {})
        plain:write("GET / HTTP/1.1\r\n\r\n")
        pcall(plain.read_until_close, plain)
        connect(port, {}):close()
        local mute = connect(port, {})
        assert.equal("", mute:read_until_close { timeout = 5 })
        testing.wait_until(function() return server.connections == 0 end)
        server.handshake_timeout = 60 -- of one that means it, which takes a busy machine longer
        local stream = connect(port, { ssl_options = trusting() })
        stream:write("line\n")
        assert.equal("line\n", stream:read_until("\n", { timeout = 5 }))
        server:stop()
        stream:write("line\n")
        assert.equal("line\n", stream:read_until("\n", { timeout = 5 }))
    end)

    it("has one deadline for all that a client does", function()
        local socket = netutil.bind_sockets(0, "127.0.0.1")[1]
        finally(function() socket:close() end)
        local began = core.precise()
        raised(util.TimeoutError, connect, socket:port(), { ssl_options = trusting(),
            timeout = 0.05 })
        assert.is_true(core.precise() - began < 20)
    end)

    it("closes at max_bytes, and keeps limits", function()
        local a, b = secured()
        b:write(("x"):rep(100))
        local err = raised(iostream.StreamClosedError, a.read_until, a, "\n", { max_bytes = 50 })
        assert.is_true(util.isinstance(err.real_error, iostream.UnsatisfiableReadError))
        err = raised(iostream.StreamClosedError, b.read_bytes, b, 1)
        assert.is_nil(err.real_error)
    end)

    it("stays on a connection that leaves HTTP", function()
        local Raw = web.RequestHandler:extend "Raw"
        function Raw:get()
            local stream = iostream.IOStream.of_channel(self:detach())
            stream:write("101\n")
            echo(stream)
        end
        local server = testing.serve(web.Application { { "/", Raw } },
            { server = { ssl_options = files "good" } })
        local stream = connect(server.port, { ssl_options = trusting() })
        stream:write("GET / HTTP/1.1\r\nHost: a\r\n\r\nearly\n")
        assert.equal("101\nearly\n", stream:read_bytes(10, { timeout = 5 }))
        local text = ("x"):rep(300000) .. "\n"
        local writing = gen.spawn(stream.write, stream, text)
        assert.equal(text, stream:read_bytes(#text, { timeout = 5 }))
        gen.await(writing)
    end)
end)

describe("TLS with others", function()
    setup(function() folder = peers.certificates() end)
    teardown(peers.remove_certificates)

    it("reads what s_server says", function()
        local child = start({ "openssl", "s_server", "-accept", "127.0.0.1:0", "-rev", "-cert",
            folder .. "/good.pem", "-key", folder .. "/good.key", "-Verify", "2", "-CAfile",
            folder .. "/ca.pem", "-alpn", "rev", "-tls1_2" },
            { stdin = NULL, stdout = STREAM, stderr = NULL })
        local port = child.stdout:read_until_regex("ACCEPT [^\n]*:\\d+\n"):match(":(%d+)\n$")
        local options = trusting(files "client")
        options.alpn = { "rev" }
        local stream = connect(tonumber(port), { ssl_options = options,
            server_hostname = "localhost" })
        assert.equal("TLSv1.2", stream:tls().version)
        assert.equal("rev", stream:tls().protocol)
        stream:write("hello\n")
        assert.equal("olleh\n", stream:read_until("\n", { timeout = 5 }))
    end)

    it("answers s_client", function()
        local port = serve(echo, { ssl_options = files "good" })
        for _, version in ipairs { "-tls1_2", "-tls1_3" } do
            local child = start({ "openssl", "s_client", "-connect", "127.0.0.1:" .. port,
                "-CAfile", folder .. "/ca.pem", "-verify_return_error", "-verify_hostname",
                "localhost", "-quiet", version },
                { stdin = STREAM, stdout = STREAM, stderr = NULL })
            child.stdin:write("hello\n")
            assert.equal("hello\n", child.stdout:read_until("\n", { timeout = 5 }))
        end
        testing.expect_log("warning", "SSL Error on 127.0.0.1: .*unsupported protocol")
        local code = process.run({ "openssl", "s_client", "-connect", "127.0.0.1:" .. port,
            "-tls1_1", "-cipher", "ALL:@SECLEVEL=0" }, { timeout = 5 })
        assert.equal(1, code)
    end)

    it("talks to Tornado, both ways", function()
        local peer = "spec/tornado/iostream/peer.py"
        local child = start({ "/usr/bin/python3", peer, "serve", folder .. "/good.pem",
            folder .. "/good.key", folder .. "/ca.pem" }, { stdin = STREAM, stdout = STREAM })
        local port = tonumber(child.stdout:read_until("\n", { timeout = 10 }))
        local options = trusting(files "client")
        options.alpn = { "echo" }
        local stream = connect(port, { ssl_options = options })
        assert.equal("echo", stream:tls().protocol)
        for _, text in ipairs { "short\n", ("x"):rep(100000) .. "\n" } do
            local writing = gen.spawn(stream.write, stream, text)
            assert.equal(text, stream:read_bytes(#text, { timeout = 5 }))
            gen.await(writing)
        end
        local ours = serve(echo, { ssl_options = files "good" })
        local code, out, why = process.run({ "/usr/bin/python3", peer, "connect", tostring(ours),
            folder .. "/ca.pem", "localhost" }, { timeout = 10 })
        assert.same({ 0, "from Tornado\n", "" }, { code, out, why })
        testing.expect_log("warning", "SSL Error on 127.0.0.1: .*alert")
        code, out, why = process.run({ "/usr/bin/python3", peer, "connect", tostring(ours),
            folder .. "/ca.pem", "elsewhere.test" }, { timeout = 10 })
        assert.same({ 1, "" }, { code, out })
        assert.matches("certificate verify failed: Hostname mismatch", why)
    end)
end)
