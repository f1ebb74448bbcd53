-- TLS for servers and clients: contexts made from Tornado's ssl_options, and certificates as
-- Python's ssl module shows them.
local core = require "tornado.core"
local util = require "tornado.util"

local tls = {}

--- Raised when a context cannot be made (a file, a cipher list) and when TLS with a peer fails;
-- `message` says what is wrong ("certificate verify failed: certificate has expired").
tls.SSLError = util.Error:extend "SSLError"

--- Values of cert_reqs, as in Python's ssl.
tls.CERT_NONE, tls.CERT_OPTIONAL, tls.CERT_REQUIRED = "none", "optional", "required"

local KNOWN = {
    certfile = util.NONE, keyfile = util.NONE, ocsp_file = util.NONE, cert_reqs = util.NONE,
    ca_certs = util.NONE, ca_path = util.NONE, ciphers = util.NONE, ssl_version = util.NONE,
    certificates = util.NONE, self_signed = false, alpn = util.NONE, ticket_keys = util.NONE,
}
local CERTIFICATE = { certfile = util.NONE, keyfile = util.NONE, ocsp_file = util.NONE }
local STRINGS = { "certfile", "keyfile", "ocsp_file", "ca_certs", "ca_path", "ciphers",
    "ticket_keys" }
local REQS = { none = true, optional = true, required = true }
local VERSIONS = { ["TLSv1.2"] = true, ["TLSv1.3"] = true }

local function bad(name, expected, value, level)
    error(("bad %s: expected %s, got %s"):format(name, expected,
        type(value) == "string" and ("%q"):format(value) or tostring(value)), level + 1)
end

local function check_strings(options, level)
    for _, name in ipairs(STRINGS) do
        local value = options[name]
        if value ~= nil and (type(value) ~= "string" or value == "" or
            name ~= "ticket_keys" and value:find("%z")) then
            bad(name, "a string", value, level + 1)
        end
    end
end

local function check_certificate(options, level)
    check_strings(options, level + 1)
    if not options.certfile and (options.keyfile or options.ocsp_file) then
        error("keyfile and ocsp_file need a certfile", level + 1)
    end
end

-- The options as they are used; raises for what is wrong with them.
local function check(options, server_side, level)
    options = util.options(options, KNOWN, "ssl_options", level)
    level = level + 2
    check_certificate(options, level)
    local reqs, version = options.cert_reqs, options.ssl_version
    if reqs ~= nil and not REQS[reqs] then
        bad("cert_reqs", '"none", "optional" or "required"', reqs, level)
    end
    if version ~= nil and not VERSIONS[version] then
        bad("ssl_version", '"TLSv1.2" (the lowest there is) or "TLSv1.3"', version, level)
    end
    if type(options.self_signed) ~= "boolean" then
        bad("self_signed", "boolean", options.self_signed, level)
    end
    local list = {}
    for i, given in ipairs(options.certificates or {}) do
        list[i] = util.options(given, CERTIFICATE, "ssl_options.certificates", level - 2)
        check_certificate(list[i], level)
        if not list[i].certfile then bad("certificates", "a certfile in each", nil, level) end
    end
    options.certificates = list
    if server_side and not options.certfile and #list == 0 and not options.self_signed then
        error("ssl_options: missing key certfile", level)
    end
    return options
end

-- Contexts ---------------------------------------------------------------------------

--- What TLS connections are made with: certificates, versions, ciphers, who is trusted.
local SSLContext = util.Object:extend "SSLContext"
tls.SSLContext = SSLContext

local function need(ok, why)
    if not ok then error(tls.SSLError("%s", why), 0) end
    return ok
end

local function verify(handle, options, server_side)
    local reqs = options.cert_reqs or (server_side and "none" or "required")
    if reqs == "optional" and not server_side then reqs = "required" end
    if server_side and reqs == "none" then return end
    need(core.tls_verify(handle, reqs, options.ca_certs, options.ca_path))
end

local function fill(handle, options, server_side)
    if options.certfile then
        need(core.tls_certificate(handle, options.certfile, options.keyfile, options.ocsp_file))
    end
    for _, one in ipairs(options.certificates) do
        need(core.tls_certificate(handle, one.certfile, one.keyfile, one.ocsp_file))
    end
    if options.self_signed then need(core.tls_certificate(handle)) end
    verify(handle, options, server_side)
    if options.ciphers then need(core.tls_ciphers(handle, options.ciphers)) end
    if options.ssl_version == "TLSv1.3" then need(core.tls_only13(handle)) end
    if options.alpn then need(core.tls_alpn(handle, table.concat(options.alpn, ","))) end
    if options.ticket_keys then need(core.tls_tickets(handle, options.ticket_keys)) end
end

local function build(options, server_side)
    local handle = need(core.tls_new(server_side))
    local ok, err = pcall(fill, handle, options, server_side)
    if ok then return handle end
    core.tls_free(handle)
    error(err, 0)
end

function SSLContext:init(options, server_side)
    self.server_side = server_side
    self._options = options
    self.handle = build(options, server_side)
end

--- Reads the files again: connections to come have what is in them now, the others go on with what
-- they began with, and clients resume their sessions. Raises SSLError, and nothing has changed.
-- Whoever gave the context to a listener gives it again.
function SSLContext:reload()
    if not self.handle then error(tls.SSLError("the TLS context is closed"), 2) end
    local old, new = self.handle, build(self._options, self.server_side)
    if not self._options.ticket_keys then core.tls_inherit(new, old) end
    self.handle = new
    core.tls_free(old)
end

--- Its own certificates: a list of { certfile (nil: made here), subject (a line, "CN=example.org"),
-- not_before, not_after (seconds since 1970) }.
function SSLContext:certificates()
    local list, files = {}, {}
    if self._options.certfile then files[1] = self._options.certfile end
    for _, one in ipairs(self._options.certificates) do files[#files + 1] = one.certfile end
    while self.handle do
        local subject, not_before, not_after = core.tls_dates(self.handle, #list)
        if not subject then break end
        list[#list + 1] = {
            certfile = files[#list + 1], subject = subject, not_before = not_before,
            not_after = not_after,
        }
    end
    return list
end

--- Sets the keys that session tickets are made and read with: a string of 80 random bytes, or of
-- 160, of which the first half makes them. Machines with the same keys resume each other's
-- sessions. Without this, all server contexts of all workers share keys that are made anew from
-- time to time (the option tls_ticket_rotation) and outlive reloads and upgrades.
function SSLContext:set_ticket_keys(keys)
    if type(keys) ~= "string" or #keys ~= 80 and #keys ~= 160 then
        error("bad ticket keys: expected a string of 80 or 160 bytes, got " ..
            (type(keys) == "string" and #keys .. " bytes" or type(keys)), 2)
    end
    need(core.tls_tickets(self.handle, keys))
    self._options.ticket_keys = keys
end

--- Makes a new ticket key, for this context alone; tickets of the one before are taken still,
-- older ones are not.
function SSLContext:rotate_ticket_keys()
    need(core.tls_rotate(self.handle))
    self._options.ticket_keys = nil
end

--- Nobody else can use it from here on; connections that do go on.
function SSLContext:close()
    if self.handle then core.tls_free(self.handle) end
    self.handle = nil
end

--- Makes an SSLContext of `options`: a table, or an SSLContext, which is returned as it is.
-- Tornado's keys are certfile, keyfile (both PEM; keyfile may be left out when certfile has the
-- key), cert_reqs ("none", "optional", "required": whether the other side must have a certificate;
-- servers begin with "none", clients with "required"), ca_certs (PEM file of those who may sign it;
-- for clients the system's), ciphers (of TLS 1.2), ssl_version (the lowest: "TLSv1.2", "TLSv1.3").
-- Further ones: ca_path (a folder of them, hashed), ocsp_file (a DER response to staple),
-- certificates (a list of { certfile, keyfile, ocsp_file } for other hosts), self_signed = true
-- (one for localhost is made), alpn (a list of protocols, best first), ticket_keys (see
-- set_ticket_keys()). A server needs a certfile. Raises SSLError for files that cannot be used, and
-- for wrong options at the caller. The caller closes it.
-- Tornado: returns Python's SSLContext; server_side may be nil for both.
function tls.ssl_options_to_context(options, server_side, level)
    if type(options) == "table" and options.class == SSLContext then return options end
    local context = SSLContext(check(options or {}, server_side or false, level or 1),
        server_side or false)
    return context
end

-- Certificates -------------------------------------------------------------------------

--- What a certificate says, as Python's getpeercert(): subject and issuer (lists of lists of
-- pairs), subjectAltName (a list of pairs), version, serialNumber, notBefore, notAfter. `parts`
-- is what core.request_certificate() gives.
function tls.certificate_table(parts)
    util.expect(parts, "table", "parts")
    local out = { subject = {}, issuer = {} }
    for i = 1, #parts, 3 do
        local section, name, value = parts[i], parts[i + 1], parts[i + 2]
        if section == "" then
            out[name] = name == "version" and tonumber(value) or value
        elseif section == "subjectAltName" then
            out.subjectAltName = out.subjectAltName or {}
            table.insert(out.subjectAltName, { name, value })
        else
            table.insert(out[section], { { name, value } })
        end
    end
    return out
end

return tls
