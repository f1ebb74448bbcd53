-- What to fetch: a URL and options, checked; nothing here touches the network.
local core = require "tornado.core"
local errors = require "tornado.httpclient.errors"
local HTTPHeaders = require "tornado.httputil.headers"
local lines = require "tornado.httputil.lines"
local urls = require "tornado.httpclient.urls"
local util = require "tornado.util"

local NONE = util.NONE
local ValueError = errors.ValueError

local request = {}

--- The options of a request that a client may have its own defaults for, and what they are when
--- nobody says. Times are seconds (0: no limit), sizes bytes.
request.DEFAULTS = {
    connect_timeout = 20,
    request_timeout = 20,  -- of the whole: waiting for its turn, redirects and retries included
    follow_redirects = true,
    max_redirects = 5,
    user_agent = "ctornado/" .. util.version,
    decompress_response = true,
    auth_mode = "basic",   -- or "digest"
    proxy_password = "",
    proxy_auth_mode = "basic",
    proxy_from_environment = false,
    allow_nonstandard_methods = false,
    validate_cert = true,
    allow_ipv6 = true,
    expect_100_continue = false,
    max_body_size = 104857600, -- of what comes out of decompression
    max_header_size = 65536,
    public_only = false,   -- refuse loopback, private and link-local addresses
    retries = 0,           -- of idempotent methods
    retry_delay = 0.1,     -- before the first, doubled for each
    http_version = "auto", -- "1.0", "1.1", "2" (without asking)
    trace = true,          -- send traceparent when who fetches belongs to a trace
    request_id = false,    -- send X-Request-Id, of the request that is worked for
}

local OPTIONS = {
    method = "GET", headers = NONE, body = NONE, body_producer = NONE, auth_username = NONE,
    auth_password = NONE, if_modified_since = NONE, use_gzip = NONE, network_interface = NONE,
    streaming_callback = NONE, header_callback = NONE, proxy_host = NONE, proxy_port = NONE,
    proxy_username = NONE, ca_certs = NONE, client_key = NONE, client_cert = NONE,
    ssl_options = NONE, unix_socket = NONE, resolve = NONE,
}
for name in pairs(request.DEFAULTS) do OPTIONS[name] = NONE end
request.OPTIONS = OPTIONS

local TYPES = {
    method = "string", body = "string", auth_username = "string", auth_password = "string",
    network_interface = "string", proxy_host = "string", proxy_port = "number",
    proxy_username = "string", proxy_password = "string", ca_certs = "string",
    client_key = "string", client_cert = "string", ssl_options = "table", resolve = "table",
    unix_socket = "string", user_agent = "string", connect_timeout = "number",
    request_timeout = "number", max_redirects = "number", max_body_size = "number",
    max_header_size = "number", retries = "number", retry_delay = "number", trace = "boolean",
    request_id = "boolean",
}
local CALLED = { "body_producer", "streaming_callback", "header_callback" }
local MODES = { basic = true, digest = true }
local VERSIONS = { auto = 0, ["1.0"] = core.FETCH_HTTP10, ["1.1"] = core.FETCH_HTTP11,
    ["2"] = core.FETCH_HTTP2 }
request.VERSIONS = VERSIONS

local METHODS = {
    GET = false, HEAD = false, DELETE = false, OPTIONS = false, POST = true, PUT = true,
    PATCH = true, -- true: with a body
}
request.METHODS = METHODS

local function bad(level, text, ...)
    error(ValueError(text, ...), level + 1)
end

local function check_type(name, kind, value)
    if type(value) ~= kind then
        bad(4, "bad %s: expected %s, got %s", name, kind, type(value))
    elseif kind == "number" and not (value >= 0 and value < math.huge) then
        bad(4, "bad %s: expected a number from 0 on, got %s", name, tostring(value))
    elseif kind == "string" and name ~= "body" and value:find("%z") then
        bad(4, "bad %s: it has a zero byte", name)
    end
end

--- Checks the types of options; raises a ValueError.
function request.check(options)
    for name, kind in pairs(TYPES) do
        local value = options[name]
        if value ~= nil then check_type(name, kind, value) end
    end
    for _, name in ipairs(CALLED) do
        local value = options[name]
        if value ~= nil and not util.is_callable(value) then
            bad(3, "bad %s: expected function, got %s", name, type(value))
        end
    end
    for _, name in ipairs { "auth_mode", "proxy_auth_mode" } do
        local mode = options[name]
        if mode ~= nil and not MODES[mode] then
            bad(3, 'bad %s: expected "basic" or "digest", got %s', name, util.shown(mode))
        end
    end
    local version = options.http_version
    if version ~= nil and not VERSIONS[version] then
        bad(3, 'bad http_version: expected "auto", "1.0", "1.1" or "2", got %s',
            util.shown(version))
    end
end

--- Checks the URL and the method with its body; returns the URL's parts. Raises a ValueError.
function request.validate(self, allow_any)
    local parts, why = urls.parse(self.url)
    if not parts then bad(3, "%s", why) end
    local method = self.method
    local with_body = METHODS[method]
    if with_body == nil and not allow_any then bad(3, "unknown method %s", util.shown(method)) end
    if not core.is_token(method) then bad(3, "bad method %s", util.shown(method)) end
    local has_body = self.body ~= nil or self.body_producer ~= nil
    if self.body ~= nil and self.body_producer ~= nil then
        bad(3, "body and body_producer exclude each other")
    end
    if not allow_any and with_body ~= has_body then
        bad(3, "Body must %sbe nil for method %s (unless allow_nonstandard_methods is true)",
            with_body and "not " or "", method)
    end
    if has_body and (method == "GET" or method == "HEAD") then
        bad(3, "Body must be nil for %s request", method)
    end
    return parts
end

local HTTPRequest = util.Object:extend "HTTPRequest"
request.HTTPRequest = HTTPRequest

-- Headers that nobody has given are made when somebody looks.
HTTPRequest.__index = function(self, key)
    if key == "headers" then
        local headers = HTTPHeaders()
        rawset(self, "headers", headers)
        return headers
    end
    return HTTPRequest[key]
end

--- Takes a URL and options: those of httpclient.fetch(). Raises a ValueError for bad ones.
-- Tornado: prepare_curl_callback is not here: there is no handle of libcurl that Lua could touch.
function HTTPRequest:init(url, options, level)
    level = 1 + (level or 0)
    util.expect(url, "string", "url", level)
    self.url = url
    self.method = "GET"
    if options ~= nil then self:_take(util.options(options, OPTIONS, "HTTPRequest", level)) end
end

function HTTPRequest:_take(options)
    for name, value in pairs(options) do self[name] = value end
    local ok, headers = pcall(HTTPHeaders, options.headers or {})
    if not ok then bad(4, "%s", (tostring(headers):gsub("^[^%s]+:%d+: ", ""))) end
    self.headers = headers
    if options.use_gzip ~= nil and options.decompress_response == nil then
        self.decompress_response = options.use_gzip
    end
    local since = options.if_modified_since
    if since and since ~= 0 then
        self.headers:set("If-Modified-Since", lines.format_timestamp(since))
    end
    request.check(self)
end

--- Another request that has what this one has; its headers are its own.
function HTTPRequest:copy()
    local other = setmetatable({}, HTTPRequest)
    for name, value in pairs(self) do other[name] = value end
    other.headers = self.headers:copy()
    return other
end

return request
