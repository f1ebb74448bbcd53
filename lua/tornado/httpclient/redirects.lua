-- What follows from a 3xx: the next request, without what its server must not see. RFC 9110 §15.4,
-- Tornado's simple_httpclient (CVE-2026-49853).
local urls = require "tornado.httpclient.urls"

local redirects = {}

local CODES = { [301] = true, [302] = true, [303] = true, [307] = true, [308] = true }
local OF_BODY = { "Content-Length", "Content-Type", "Content-Encoding", "Transfer-Encoding" }
local SECRETS = { "Authorization", "Cookie", "Proxy-Authorization" }

--- Whether a response says where to look instead.
function redirects.is_redirect(response)
    return CODES[response.code] == true and response.headers:has("Location")
end

local function becomes_get(code, method)
    if code == 303 then return method ~= "HEAD" end
    return (code == 301 or code == 302) and method == "POST"
end

local function forget(request, names)
    for _, name in ipairs(names) do request.headers:remove(name) end
end

local function without_certificate(options)
    if not options then return nil end
    local out = {}
    for name, value in pairs(options) do
        if name ~= "certfile" and name ~= "keyfile" then out[name] = value end
    end
    return out
end

--- Takes a request, its URL's parts, those of the first URL and a redirect; returns the next
--- request, whose URL has not been looked at yet; nil when its body cannot be sent once more.
function redirects.next(request, parts, first, response)
    local new = request:copy()
    new.url = urls.join(parts, response.headers:get_list("Location")[1])
    new.headers:remove("Host")
    if becomes_get(response.code, request.method) then
        new.method = "GET"
        new.body, new.body_producer = nil, nil
        forget(new, OF_BODY)
    elseif request.body_producer then
        return nil
    end
    local target = urls.parse(new.url)
    if not target then return new end
    if target.origin ~= first.origin then
        new.auth_username, new.auth_password = nil, nil
        new.client_cert, new.client_key = false, false -- nor those of the client's defaults
        new.ssl_options = without_certificate(new.ssl_options)
        new.url = target.url -- without credentials
        forget(new, SECRETS)
    elseif not target.user and parts.user then
        new.auth_username, new.auth_password = parts.user, parts.password
    end
    return new
end

return redirects
