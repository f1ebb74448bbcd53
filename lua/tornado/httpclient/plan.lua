-- How a request goes out: its options turned into what the core takes (flags, lines of fields,
-- limits, and the few texts that only some requests have).
local bit = require "bit"
local core = require "tornado.core"
local errors = require "tornado.httpclient.errors"
local request = require "tornado.httpclient.request"
local stack_context = require "tornado.stack_context"
local tracing = require "tornado.tracing"
local urls = require "tornado.httpclient.urls"
local util = require "tornado.util"

local bor = bit.bor
local ValueError = errors.ValueError

local plan = {}

local FORM = "application/x-www-form-urlencoded"
local SSL_OPTIONS = {
    ca_certs = util.NONE, certfile = util.NONE, keyfile = util.NONE, verify = true,
    ciphers = util.NONE, minimum_version = "1.2",
}

local function bad(text, ...)
    error(ValueError(text, ...), 0)
end

local function check_host(host, what)
    if not host:find("^[%w._:%[%]-]+$") then bad("bad %s: %s", what, util.shown(host)) end
    if host:find(":", 1, true) and host:sub(1, 1) ~= "[" then return "[" .. host .. "]" end
    return host
end

-- Fields that say how the body is framed are not the caller's: libcurl writes them.
local FRAMING = { ["Content-Length"] = true, ["Transfer-Encoding"] = true }

local function add_given(out, headers)
    for name, value in headers:get_all() do
        if not FRAMING[name] then out[#out + 1] = name .. ": " .. value .. "\n" end
    end
end

local function user_agent(value)
    if value == "" then return "" end
    if not core.is_field_value(value) then bad("bad user_agent: %s", util.shown(value)) end
    return "User-Agent: " .. value .. "\n"
end

--- Whether the fields depend on who fetches, with these options (a table).
function plan.is_personal(options)
    return options.trace and stack_context.get "trace" ~= nil
        or options.request_id and stack_context.get "request_id" ~= nil
end

-- The headers with those that say who fetches.
local function told(self, get)
    local headers = rawget(self, "headers")
    local trace = get "trace" and stack_context.get "trace" or nil
    local id = get "request_id" and stack_context.get "request_id" or nil
    if not trace and not id then return headers end
    headers = self.headers:copy()
    tracing.tell(headers, trace, id)
    return headers
end

local function fields_of(self, get, parts)
    local headers = told(self, get)
    local out = {}
    local user, password = parts.user, parts.password
    if not user then
        user, password = self.auth_username, self.auth_password
    end
    local basic = user and get("auth_mode") == "basic"
    if headers then
        if basic and headers:has("Authorization") then
            headers = headers:copy()
            headers:remove("Authorization")
        end
        add_given(out, headers)
    end
    if basic then
        out[#out + 1] = "Authorization: " .. urls.basic(user, password or "") .. "\n"
    end
    if not (headers and headers:has("User-Agent")) then
        out[#out + 1] = user_agent(get "user_agent")
    end
    if self.method == "POST" and not (headers and headers:has("Content-Type")) then
        out[#out + 1] = "Content-Type: " .. FORM .. "\n"
    end
    if get "expect_100_continue" then out[#out + 1] = "Expect: 100-continue\n" end
    return table.concat(out)
end

-- The four of TLS, or what ssl_options says instead of them.
local function tls_of(self, get)
    local given = self.ssl_options or get "ssl_options"
    if not given then
        return { ca_certs = get "ca_certs", certfile = get "client_cert",
            keyfile = get "client_key", verify = get "validate_cert", minimum_version = "1.2" }
    end
    local options = util.options(given, SSL_OPTIONS, "ssl_options", 0)
    if options.minimum_version ~= "1.2" and options.minimum_version ~= "1.3" then
        bad('bad minimum_version: expected "1.2" or "1.3", got %s',
            util.shown(options.minimum_version))
    end
    return options
end

local function flags_of(self, get, tls, digest)
    local flags = request.VERSIONS[get "http_version"]
    local function add(condition, flag)
        if condition then flags = bor(flags, flag) end
    end
    add(self.method == "HEAD", core.FETCH_HEAD)
    add(self.body, core.FETCH_BODY)
    add(self.body_producer, core.FETCH_UPLOAD)
    add(self.streaming_callback or self.header_callback, core.FETCH_STREAM)
    add(get "decompress_response", core.FETCH_DECODE)
    add(get "expect_100_continue", core.FETCH_EXPECT)
    add(not tls.verify, core.FETCH_NO_VERIFY)
    add(tls.minimum_version == "1.3", core.FETCH_TLS13)
    add(get "allow_ipv6" == false, core.FETCH_IPV4)
    add(digest, core.FETCH_DIGEST)
    add(get "proxy_auth_mode" == "digest", core.FETCH_PROXY_DIGEST)
    add(get "proxy_from_environment", core.FETCH_ENV_PROXY)
    add(get "public_only", core.FETCH_PUBLIC)
    return flags
end

-- "HOST:PORT:ADDRESS:PORT" when the maps say that this host is elsewhere.
local function connect_to(maps, parts)
    for _, map in ipairs(maps) do
        local to = map[parts.host .. ":" .. parts.port] or map[parts.host]
        if to then
            if type(to) ~= "string" then bad("bad resolve: expected strings") end
            local address, port = to:match("^(.-):(%d+)$")
            if not address or address:find(":", 1, true) and address:sub(1, 1) ~= "[" then
                address, port = to, parts.port
            end
            local host = parts.host:find(":", 1, true) and "[" .. parts.host .. "]" or parts.host
            return ("%s:%d:%s:%d"):format(host, parts.port, check_host(address, "resolve"), port)
        end
    end
end

local function texts_of(self, get, tls, parts, digest, client)
    local texts = {}
    local function add(what, value)
        if value then texts[#texts + 1] = { what, value } end
    end
    if digest then
        add(core.FETCH_USERNAME, parts.user or self.auth_username)
        add(core.FETCH_PASSWORD, parts.user and parts.password or self.auth_password or "")
    end
    local proxy = get "proxy_host"
    if proxy then
        if not get "proxy_port" then bad("proxy_host needs proxy_port") end
        add(core.FETCH_PROXY, ("%s:%d"):format(check_host(proxy, "proxy_host"), get "proxy_port"))
        add(core.FETCH_PROXY_USERNAME, get "proxy_username")
        add(core.FETCH_PROXY_PASSWORD, get "proxy_username" and get "proxy_password")
    end
    add(core.FETCH_CA_CERTS, tls.ca_certs)
    add(core.FETCH_CLIENT_CERT, tls.certfile)
    add(core.FETCH_CLIENT_KEY, tls.keyfile)
    add(core.FETCH_CIPHERS, tls.ciphers)
    add(core.FETCH_INTERFACE, get "network_interface")
    add(core.FETCH_UNIX_SOCKET, get "unix_socket")
    local maps = {}
    maps[#maps + 1] = self.resolve
    maps[#maps + 1] = client.hostname_mapping
    add(core.FETCH_CONNECT_TO, connect_to(maps, parts))
    return texts[1] and texts or nil
end

local function upload_size(self)
    if not self.body_producer then return -1 end
    local given = self.headers:get("Content-Length")
    if not given then return -1 end
    local size = given:find("^%d+$") and tonumber(given)
    if not size then bad("bad Content-Length: %s", util.shown(given)) end
    return size
end

--- Takes a client, a request and its URL's parts; returns { flags, fields, texts (or nil), limits,
--- needs_address (a name is to be resolved) }. Raises a ValueError.
function plan.make(client, self, parts)
    local defaults = client.defaults
    local function get(name)
        local value = self[name]
        if value ~= nil then return value end
        return defaults[name]
    end
    local tls = tls_of(self, get)
    local digest = (parts.user or self.auth_username) ~= nil and get "auth_mode" == "digest"
    local texts = texts_of(self, get, tls, parts, digest, client)
    return {
        flags = flags_of(self, get, tls, digest),
        fields = fields_of(self, get, parts),
        texts = texts,
        needs_address = not (parts.is_literal or texts or get "proxy_from_environment"),
        family = get "allow_ipv6" == false and "inet" or nil,
        limits = {
            upload_size = upload_size(self),
            connect_timeout = get "connect_timeout",
            request_timeout = get "request_timeout",
            max_body_size = math.min(get "max_body_size", 2147483647),
            max_header_size = math.min(get "max_header_size", 16777216),
        },
    }
end

--- The same plan, with less time for the whole.
function plan.with_time(self, seconds)
    local limits = {}
    for name, value in pairs(self.limits) do limits[name] = value end
    limits.request_timeout = seconds
    local other = {}
    for name, value in pairs(self) do other[name] = value end
    other.limits = limits
    return other
end

return plan
