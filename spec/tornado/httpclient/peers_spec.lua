-- tornado.httpclient with others' software: nginx (HTTP/1.1 and HTTP/2 over TLS), python3-tornado
-- and tinyproxy.
local testing = require "tornado.testing"
local gen = require "tornado.gen"
local iostream = require "tornado.iostream"
local web = require "tornado.web"

local free_port = dofile "spec/tornado/free_port.lua"
local peers = dofile "spec/tornado/httpclient/peers.lua"

local function write_file(path, text)
    local file = assert(io.open(path, "w"))
    file:write(text)
    file:close()
end

-- Starts a program in the foreground; waits until it listens. It ends with the case.
local function start(command, port)
    local pipe = io.popen("exec " .. command .. " > /dev/null 2>&1 & echo $!")
    local pid = pipe:read("*n")
    pipe:close()
    finally(function()
        os.execute("kill " .. pid)
        testing.wait_until(function() return not testing.is_running { pid = pid } end)
    end)
    testing.wait_until(function()
        local stream = iostream.IOStream()
        local listens = pcall(stream.connect, stream, "127.0.0.1:" .. port)
        stream:close()
        return listens
    end)
end

local NGINX = [[
daemon off;
master_process off;
pid %s/nginx.pid;
error_log /dev/null;
events {}
http {
    access_log off;
    client_body_temp_path %s/body;
    proxy_temp_path %s/proxy;
    fastcgi_temp_path %s/fastcgi;
    uwsgi_temp_path %s/uwsgi;
    scgi_temp_path %s/scgi;
    server {
        listen 127.0.0.1:%d ssl http2;
        ssl_certificate %s/good.pem;
        ssl_certificate_key %s/good.key;
        location / { return 200 "$server_protocol $connection $request_method"; }
        location /big { root %s; }
    }
}
]]

describe("tornado.httpclient", function()
    local folder

    setup(function() folder = peers.certificates() end)
    teardown(peers.remove_certificates)

    it("speaks HTTP/2 with nginx, many requests on one connection", function()
        local port = free_port()
        write_file(folder .. "/nginx.conf", (NGINX:gsub("%%s", folder):gsub("%%d", port)))
        write_file(folder .. "/big", ("0123456789abcdef"):rep(100000))
        start("nginx -c " .. folder .. "/nginx.conf", port)
        local client = peers.client(finally, { max_clients = 50,
            defaults = { ca_certs = folder .. "/ca.pem" } })
        local base = "https://127.0.0.1:" .. port
        local response = client:fetch(base .. "/")
        assert.equal("HTTP/2", response.version)
        assert.equal("OK", response.reason)
        local number = response.body:match("^HTTP/2.0 (%d+) GET$")
        local futures = {}
        for i = 1, 50 do
            futures[i] = gen.spawn(function() return client:fetch(base .. "/") end)
        end
        for i = 1, 50 do
            assert.equal("HTTP/2.0 " .. number .. " GET", gen.await(futures[i]).body)
        end
        assert.equal(1600000, #client:fetch(base .. "/big").body)
        local size = 0
        client:fetch(base .. "/big", { streaming_callback = function(piece)
            size = size + #piece
            gen.moment()
        end })
        assert.equal(1600000, size)
        response = client:fetch(base .. "/", { http_version = "1.1", method = "POST", body = "x" })
        assert.equal("HTTP/1.1", response.version)
        assert.matches("^HTTP/1.1 %d+ POST$", response.body)
    end)

    it("understands Tornado", function()
        local port = free_port()
        start(("/usr/bin/python3 spec/bench/peers/tornado_app.py %d %s"):format(port, folder), port)
        local client = peers.client(finally)
        local response = client:fetch(("http://127.0.0.1:%d/plaintext"):format(port))
        assert.equal("Hello, World!", response.body)
        assert.matches("TornadoServer", response.headers:get("Server"))
    end)

    it("goes through a proxy, plainly and in a tunnel", function()
        local port = free_port()
        write_file(folder .. "/proxy.conf", ("Port %d\nListen 127.0.0.1\nTimeout 60\n"
            .. "BasicAuth me secret\nMaxClients 20\n"):format(port))
        start("tinyproxy -d -c " .. folder .. "/proxy.conf", port)
        local seen
        local Via = web.RequestHandler:extend "Via"
        function Via:get()
            seen = self.request.headers
            self:write(self.request.headers:get("Via", "none"))
        end
        local server = testing.serve(web.Application { { "/", Via } })
        local client = peers.client(finally)
        local url = "http://" .. server.address .. "/"
        local proxy = { proxy_host = "127.0.0.1", proxy_port = port, proxy_username = "me",
            proxy_password = "secret" }
        assert.matches("tinyproxy", client:fetch(url, proxy).body)
        assert.is_false(seen:has("Proxy-Authorization"))
        assert.equal("none", client:fetch(url).body)
        local ok, err = pcall(client.fetch, client, url,
            { proxy_host = "127.0.0.1", proxy_port = port })
        assert.is_false(ok)
        assert.equal(407, err.code)
        local address, stop = peers.start(folder .. "/good.pem " .. folder .. "/good.key")
        finally(stop)
        proxy.ca_certs = folder .. "/ca.pem"
        assert.equal(200, client:fetch("https://" .. address .. "/keep", proxy).code)
        proxy.proxy_password = "wrong"
        ok, err = pcall(client.fetch, client, "https://" .. address .. "/keep", proxy)
        assert.is_false(ok)
        assert.equal(40, math.floor(err.code / 10)) -- 401, or 407, as tinyproxy's version has it
        assert.equal(err.code, err.response.code)
    end)
end)
