-- tornado.netutil.tls: contexts from ssl_options, and certificates as tables. What they do on
-- connections, spec/core/test_tls.c and spec/integration/tls.py see. PARITY §11.
local core = require "tornado.core"
local httpserver = require "tornado.httpserver"
local tls = require "tornado.netutil.tls"
local web = require "tornado.web"

local app = web.Application {}

describe("tornado.netutil.tls", function()
    local function context(options, server_side)
        local made = tls.ssl_options_to_context(options, server_side)
        finally(function() made:close() end)
        return made
    end

    it("makes contexts for servers and clients", function()
        local server = context({ self_signed = true, ciphers = "ECDHE+AESGCM",
            ssl_version = "TLSv1.3", alpn = { "http/1.1" } }, true)
        assert.is_true(server.server_side)
        assert.equal(server, tls.ssl_options_to_context(server))
        assert.is_false(context(nil).server_side)
        assert.is_false(context({ cert_reqs = "none" }).server_side)
        context({ cert_reqs = tls.CERT_OPTIONAL }, false)
    end)

    it("refuses wrong options at the caller", function()
        for pattern, options in pairs {
            ['unknown option "certifle" %(did you mean "certfile"'] = { certifle = "x" },
            ["bad certfile: expected a string, got 5"] = { certfile = 5 },
            ['bad certfile: expected a string, got ""'] = { certfile = "" },
            ["keyfile and ocsp_file need a certfile"] = { keyfile = "x" },
            ['bad cert_reqs: expected "none", "optional" or "required", got 2'] = { cert_reqs = 2 },
            ['bad ssl_version: expected "TLSv1.2"'] = { ssl_version = "TLSv1" },
            ["bad self_signed: expected boolean"] = { self_signed = 1 },
            ["ssl_options.certificates: unknown option"] = { certificates = { { x = 1 } } },
            ["bad certificates: expected a certfile"] = { certificates = { {} } },
            ["ssl_options: missing key certfile"] = {},
        } do
            local ok, err = pcall(function()
                local made = tls.ssl_options_to_context(options, true)
                return made
            end)
            assert.is_false(ok)
            assert.matches("tls_spec.lua:%d+: .*" .. pattern, err)
        end
    end)

    it("raises SSLError for files and lists that cannot be used", function()
        for pattern, options in pairs {
            ["^/no/such/file: No such file or directory$"] = { certfile = "/no/such/file" },
            ["^/dev/null: no certificate %(PEM%) in it$"] = { certfile = "/dev/null" },
            ["^NONE SUCH: no cipher match$"] = { self_signed = true, ciphers = "NONE SUCH" },
            ["^client certificates: set ca_certs"] = { self_signed = true, cert_reqs = "required" },
            ["^ticket keys: expected one or two of 80 bytes, got 3 bytes$"] =
                { self_signed = true, ticket_keys = "abc" },
        } do
            local ok, err = pcall(tls.ssl_options_to_context, options, true)
            assert.is_false(ok)
            assert.is_true(tls.SSLError.is(err, tls.SSLError))
            assert.matches(pattern, err.message)
        end
    end)

    it("reloads, and keeps what it has when that fails", function()
        local path = os.tmpname()
        finally(function() os.remove(path) end)
        local made = context({ self_signed = true }, true)
        local before = made.handle
        made:reload()
        assert.not_equal(before, made.handle)
        assert.is_nil((core.tls_rotate(before)))
        made._options.certfile = path
        before = made.handle
        assert.is_false(pcall(made.reload, made))
        assert.equal(before, made.handle)
        made:rotate_ticket_keys()
    end)

    it("says whose its certificates are, and until when they are good", function()
        local made = context({ self_signed = true }, true)
        local one = made:certificates()[1]
        assert.equal("CN=localhost", one.subject)
        assert.is_nil(one.certfile)
        assert.is_true(math.abs(one.not_before + 3600 - core.now()) < 60)
        assert.equal(30 * 86400 + 3600, one.not_after - one.not_before)
        local path = os.tmpname()
        finally(function() os.remove(path) end)
        for subject, want in pairs { ["/"] = "only.test", ["/O=a, b/CN=c"] = "CN=c,O=a\\, b" } do
            assert.equal(0, os.execute(("openssl req -x509 -newkey ec -pkeyopt "
                .. "ec_paramgen_curve:P-256 -nodes -days 2 -subj '%s' -addext "
                .. "subjectAltName=DNS:only.test,DNS:b.test -keyout %s.k -out %s 2> /dev/null; "
                .. "cat %s.k >> %s; rm %s.k"):format(subject, path, path, path, path, path)))
            local other = context({ certificates = { { certfile = path } }, self_signed = true },
                true)
            local list = other:certificates()
            assert.equal(2, #list)
            assert.equal(path, list[1].certfile)
            assert.equal(want, list[1].subject)
            assert.equal(2 * 86400, list[1].not_after - list[1].not_before)
            assert.equal("CN=localhost", list[2].subject)
            other:close()
            assert.same({}, other:certificates())
        end
    end)

    it("takes ticket keys of 80 or 160 bytes", function()
        local made = context({ self_signed = true }, true)
        made:set_ticket_keys(("k"):rep(80))
        made:set_ticket_keys(("k"):rep(160))
        for _, keys in ipairs { "", ("k"):rep(81), 5 } do
            local ok, err = pcall(function() made:set_ticket_keys(keys) end)
            assert.is_false(ok)
            assert.matches("tls_spec.*bad ticket keys: expected", err)
        end
    end)

    it("says that a context is closed", function()
        local made = tls.ssl_options_to_context({ self_signed = true }, true)
        made:close()
        made:close()
        local good, err = pcall(made.reload, made)
        assert.is_false(good)
        assert.equal("the TLS context is closed", err.message)
        local ok, why = core.listen_tls(1, 77)
        assert.is_nil(ok)
        assert.equal("the TLS context is closed", why)
    end)

    it("shows certificates as Python does", function()
        assert.same({
            subject = { { { "commonName", "a" } } }, issuer = { { { "commonName", "b" } } },
            version = 3, serialNumber = "0A", subjectAltName = { { "DNS", "a" }, { "DNS", "c" } },
        }, tls.certificate_table {
            "", "version", "3", "", "serialNumber", "0A", "subject", "commonName", "a",
            "issuer", "commonName", "b", "subjectAltName", "DNS", "a", "subjectAltName", "DNS", "c",
        })
    end)

    it("is what HTTPServer's ssl_options are for", function()
        local server = httpserver.HTTPServer(app, { ssl_options = { self_signed = true } })
        finally(function() server:stop(true) end)
        server:listen(0)
        server:reload_certificates()
        assert.has_error(function()
            httpserver.HTTPServer(app, { ssl_options = 5 })
        end, "bad ssl_options: expected table or SSLContext, got number")
        local ok, err = pcall(function()
            local made = httpserver.HTTPServer(app, { ssl_options = {} })
            return made
        end)
        assert.is_false(ok)
        assert.matches("tls_spec.*missing key certfile", err)
        local client = context {}
        assert.has_error(function()
            httpserver.HTTPServer(app, { ssl_options = client })
        end, "bad ssl_options: the SSLContext is one for clients")
        local closed = tls.ssl_options_to_context({ self_signed = true }, true)
        local late = httpserver.HTTPServer(app, { ssl_options = closed })
        closed:close()
        ok, err = pcall(late.listen, late, 0)
        assert.is_false(ok)
        assert.equal("the TLS context is closed", err.message)
        assert.has_error(function() httpserver.HTTPServer(app):reload_certificates() end,
            "reload_certificates: the server has no ssl_options")
    end)
end)
