-- URLs of http and https: taken apart, and joined to what a Location says (RFC 3986 §5.2).
local core = require "tornado.core"
local escape = require "tornado.escape"
local util = require "tornado.util"

local find, lower, match, sub = string.find, string.lower, string.match, string.sub

local urls = {}

local PORTS = { http = 80, https = 443 }

-- What was taken apart lately: sites ask the same servers again and again.
local MEMO_URLS, MEMO_LENGTH = 256, 512
local memo, memo_count = {}, 0

local function fail(text, ...)
    return nil, text:format(...)
end

local function split_host(hostport)
    if sub(hostport, 1, 1) == "[" then
        local host, port = match(hostport, "^%[([%x:.]+)%]:?(%d*)$")
        return host, port, true
    end
    local host, port = match(hostport, "^([^:]+):?(%d*)$")
    return host, port, false
end

local function is_ipv4(host)
    return find(host, "^%d+%.%d+%.%d+%.%d+$") ~= nil
end

local function decoded(text)
    if not text then return nil end
    return escape.url_unescape(text, nil, false)
end

-- Scheme, authority and the rest without its fragment; or nil and what is wrong.
local function split_url(url)
    if #url > 65536 then return fail("URL too long: %d bytes", #url) end
    if find(url, "[%z\1-\32\127]") then
        return fail("bad URL %s: it has spaces or control characters", util.shown(url))
    end
    local scheme, rest = match(url, "^(%a[%w+.-]*)://([^#]*)")
    scheme = scheme and lower(scheme)
    if not PORTS[scheme] then return fail("Unsupported url scheme: %s", util.shown(url)) end
    local authority, target = match(rest, "^([^/?]*)(.*)$")
    if find(authority, "[\\\"<>^`{|}]") then return fail("bad URL %s", util.shown(url)) end
    return scheme, authority, target
end

local function parse(url)
    local scheme, authority, target = split_url(url)
    if not scheme then return nil, authority end
    local userinfo, hostport = match(authority, "^(.*)@(.*)$")
    hostport = hostport or authority
    local host, port, is_ipv6 = split_host(hostport)
    if not host then return fail("bad URL %s: no host", util.shown(url)) end
    local number = port == "" and PORTS[scheme] or tonumber(port)
    if number > 65535 then return fail("bad URL %s: no such port", util.shown(url)) end
    if not find(target, "^/") then target = "/" .. target end
    local user, password = match(userinfo or "", "^([^:]*):?(.*)$")
    host = lower(host)
    return {
        scheme = scheme, host = host, port = number, target = target,
        netloc = lower(hostport),
        origin = scheme .. "://" .. host .. ":" .. number,
        user = userinfo and decoded(user), password = userinfo and decoded(password),
        url = scheme .. "://" .. hostport .. target,
        -- what needs no resolver; libcurl knows localhost by itself
        is_literal = is_ipv6 or is_ipv4(host) or host == "localhost",
    }
end

--- Takes an absolute URL; returns { scheme, host, port, target, netloc, origin, user, password,
--- url (without credentials and fragment), is_literal }, not to be changed; or nil and what is
--- wrong.
function urls.parse(url)
    local known = memo[url]
    if known then return known end
    local parts, why = parse(url)
    if not parts then return nil, why end
    if #url <= MEMO_LENGTH then
        if memo_count == MEMO_URLS then memo, memo_count = {}, 0 end
        memo[url] = parts
        memo_count = memo_count + 1
    end
    return parts
end

-- RFC 3986 §5.2.4.
local function remove_dots(path)
    local out = {}
    for segment, slash in path:gmatch("([^/]*)(/?)") do
        if segment == "." or segment == ".." then
            if segment == ".." and #out > 1 then out[#out] = nil end
        elseif segment ~= "" or slash ~= "" then
            out[#out + 1] = segment .. slash
        end
    end
    local text = table.concat(out)
    return sub(text, 1, 1) == "/" and text or "/" .. text
end

local function split_target(target)
    local path, query = match(target, "^([^?]*)(.*)$")
    return path, query
end

--- Takes a parsed base and a reference; returns the URL it means.
function urls.join(base, reference)
    reference = match(reference, "^[ \t]*([^#]*)")
    reference = reference:gsub("[%z\1-\32\127-\255]", function(char)
        return ("%%%02X"):format(char:byte())
    end)
    if find(reference, "^%a[%w+.-]*:") then return reference end
    if find(reference, "^//") then return base.scheme .. ":" .. reference end
    local root = base.scheme .. "://" .. base.netloc
    if find(reference, "^/") then
        local path, query = split_target(reference)
        return root .. remove_dots(path) .. query
    end
    local base_path, base_query = split_target(base.target)
    if reference == "" then return root .. base_path .. base_query end
    if find(reference, "^%?") then return root .. base_path .. reference end
    local path, query = split_target(reference)
    return root .. remove_dots(match(base_path, "^(.*/)") .. path) .. query
end

--- The field of basic authentication.
function urls.basic(user, password)
    return "Basic " .. core.base64_encode(user .. ":" .. password)
end

return urls
