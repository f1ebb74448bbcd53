-- HTTPS for tornado.httpserver: which listener has which context, new certificates while it runs,
-- and the way from plain HTTP to it.
local core = require "tornado.core"
local netutil = require "tornado.netutil.tls"

local tls = {}

-- Makes a context of ssl_options for HTTP. Returns it, and whether it is ours to close.
local function context_of(ssl_options, level)
    if type(ssl_options) ~= "table" then
        error("bad ssl_options: expected table or SSLContext, got " .. type(ssl_options), level + 1)
    end
    if ssl_options.class == netutil.SSLContext then
        if not ssl_options.server_side then
            error("bad ssl_options: the SSLContext is one for clients", level + 1)
        end
        return ssl_options, false
    end
    local options = {}
    for name, value in pairs(ssl_options) do options[name] = value end
    if options.alpn == nil then options.alpn = { "http/1.1" } end
    return netutil.ssl_options_to_context(options, true, level + 1), true
end

--- The contexts of one HTTPServer. `level`: of the caller to blame for wrong options.
function tls.new(ssl_options, level)
    local context, own = context_of(ssl_options, level + 1)
    return { context = context, listeners = {}, own = own }
end

--- A listener's connections to come have TLS. When that cannot be, it is closed.
function tls.begin(self, listener)
    local handle = self.context.handle
    local ok, why = nil, "the TLS context is closed"
    if handle then ok, why = core.listen_tls(listener, handle) end
    if not ok then
        core.listen_close(listener)
        error(netutil.SSLError("%s", why), 0)
    end
    self.listeners[listener] = true
end

--- Reads the certificates again, for connections to come.
function tls.reload(self)
    self.context:reload()
    for listener in pairs(self.listeners) do tls.begin(self, listener) end
end

--- No listener is left.
function tls.finish(self)
    if self.own then self.context:close() end
    self.listeners = {}
end

--- A function(request) that sends clients to the same place over HTTPS on `port`. GET and HEAD get
-- 301, which every client knows, others 308, which keeps their method and body. "OPTIONS *" is
-- about the server, not about a place: 204 (RFC 9110 §9.3.7).
function tls.redirect(port, release)
    local suffix = port == 443 and "" or ":" .. port
    return function(request)
        local handle = request.handle
        if request.uri == "*" then
            core.reply(handle, 204, "", "", "", -1, 0)
            return release(request)
        end
        local host = request.host_name
        if host:find(":", 1, true) and host:sub(1, 1) ~= "[" then host = "[" .. host .. "]" end
        local url = "https://" .. host .. suffix .. request.uri
        local simple = request.method == "GET" or request.method == "HEAD"
        core.field(handle, core.FIELD_SET, "Location", url)
        core.reply(handle, simple and 301 or 308, "", "", "", -1, 0)
        release(request)
    end
end

return tls
