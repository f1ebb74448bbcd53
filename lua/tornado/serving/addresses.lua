-- What a server listens on: options as a list of addresses with what stands beside each, and a
-- listener of each.
local certificates = require "tornado.serving.certificates"
local config = require "tornado.config"
local core = require "tornado.core"
local httpserver = require "tornado.httpserver"
local util = require "tornado.util"

local addresses = {}

--- A list of { ADDRESS, ssl_options ... } and { ADDRESS, redirect = PORT }.
function addresses.list(options)
    local list = {}
    for i, item in ipairs(options.listen) do
        list[i] = type(item) == "table" and item or { item }
    end
    if #list > 0 then return list end
    local host = options.address
    if host:find(":", 1, true) and host:sub(1, 1) ~= "[" then host = "[" .. host .. "]" end
    list[1] = { host .. ":" .. options.port }
    if options.certfile ~= "" then
        list[1].certfile = options.certfile
        list[1].keyfile = options.keyfile ~= "" and options.keyfile or nil
    end
    return list
end

-- What stands beside an address, as ssl_options; nil: there is nothing.
local function ssl_options_of(item, options)
    local out
    for name, value in pairs(item) do
        if name ~= 1 and name ~= "redirect" then
            out = out or {}
            out[name] = value
        end
    end
    if not out or out.certfile ~= "self-signed" then return out end
    if not options.debug then
        error('certfile = "self-signed" is for debug = true: no client would trust it', 0)
    end
    out.certfile, out.self_signed = nil, true
    return out
end

local function check_redirect(port, ssl_options)
    if type(port) == "number" and port % 1 == 0 and port >= 1 and port <= 65535 and
        not ssl_options then return end
    error("redirect: expected the port that HTTPS is on (1 to 65535), without a certificate", 0)
end

-- What is to listen on an address of list(), and its scheme.
local function server_of(app, item, options)
    local ssl_options = ssl_options_of(item, options)
    local scheme = ssl_options and "https://" or "http://"
    if item.redirect then
        check_redirect(item.redirect, ssl_options)
        app = httpserver.redirect_to_https(item.redirect)
    end
    local server = httpserver.HTTPServer(app, {
        xheaders = options.xheaders, trusted_downstream = options.trusted_downstream,
        proxy_protocol = options.proxy_protocol,
        decompress_request = options.decompress_request, ssl_options = ssl_options,
    })
    return server, scheme
end

--- Listens on an address of list() for an Application. Returns its HTTPServer, and what is to be
-- logged when all is as the options say; or raises what message() explains.
function addresses.listen(app, item, options)
    local server, scheme = server_of(app, item, options)
    local bound = server:listen_on(item[1])
    return server, ("ctornado %s on %s%s"):format(util.version,
        bound:find("^unix:") and "" or scheme, bound)
end

-- Where the options of list() stand; "" when it was on the command line.
local function place_of(options)
    return config.place(options, #options.listen > 0 and "listen" or "certfile port address")
end

--- What listen() has raised, as text that says where the address stands. What is wrong with its
-- options is blamed on this file: then it is named.
function addresses.message(err, address, options)
    local text = type(err) == "table" and err.message or tostring(err)
    local inner = text:match("^tornado/[%w_/]+%.lua:%d+: (.*)$")
    return place_of(options) .. (inner and address .. ": " .. inner or text)
end

--- Looks after the certificates of the HTTPServers that serve these options.
function addresses.watch(servers, options)
    certificates.watch(servers, place_of(options))
end

--- Looks for what would be wrong, certificates included, without opening anything; adds it to a
-- list of texts. Certificates that expire are logged.
function addresses.check(options, reasons)
    for _, item in ipairs(addresses.list(options)) do
        local ok, server = core.address_check(item[1])
        if ok then
            ok, server = pcall(server_of, httpserver.redirect_to_https(443), item, options)
        end
        if ok then
            certificates.warn({ server }, place_of(options))
            server:stop()
        else
            reasons[#reasons + 1] = addresses.message(server, item[1], options)
        end
    end
end

return addresses
