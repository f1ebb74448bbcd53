-- tornado.web.headers_policy: the setting security_headers.
local testing = require "tornado.testing"
local web = require "tornado.web"

local CSP = "default-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'self'; " ..
    "object-src 'none'"
local NAMES = { "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy",
    "Content-Security-Policy", "Strict-Transport-Security" }

local function fetch(setting, fn, path)
    return testing.serve(web.Application({ { "GET /", fn or function() return "x" end } },
        { security_headers = setting })):fetch(path or "/")
end

local function values_of(response)
    local out = {}
    for i, name in ipairs(NAMES) do out[i] = response.headers:get(name) or "-" end
    return out
end

local ALL = { "nosniff", "SAMEORIGIN", "strict-origin-when-cross-origin", CSP, "-" }

describe("tornado.web.headers_policy", function()
    it("is off by default", function()
        assert.same({ "-", "-", "-", "-", "-" }, values_of(fetch(nil)))
        assert.same({ "-", "-", "-", "-", "-" }, values_of(fetch(false)))
    end)

    it("sets its fields on every reply, errors included", function()
        assert.same(ALL, values_of(fetch(true)))
        assert.same(ALL, values_of(fetch(true, nil, "/none")))
        assert.same(ALL, values_of(fetch(true, function() error(web.HTTPError(403), 0) end)))
    end)

    it("says HSTS over https only", function()
        local function https(setting)
            return values_of(testing.serve(function(request)
                rawset(request, "protocol", "https")
                web.Application({ { "GET /", function() return "x" end } },
                    { security_headers = setting }):start_request(request)
            end):fetch("/"))[5]
        end
        assert.equal("max-age=31536000", https(true))
        assert.equal("max-age=60", https { hsts = 60 })
        assert.equal("-", https { hsts = false })
    end)

    it("takes other values, and false for none", function()
        assert.same({ "-", "DENY", "no-referrer", "img-src *", "-" }, values_of(fetch {
            nosniff = false, frame_options = "DENY", referrer_policy = "no-referrer",
            csp = "img-src *",
        }))
    end)

    it("leaves handlers the last word", function()
        local response = fetch(true, function(handler)
            handler:set_header("X-Frame-Options", "DENY")
            handler:clear_header("Referrer-Policy")
            handler:set_header("Content-Security-Policy", "default-src *")
            return handler:csp_nonce()
        end)
        assert.same({ "nosniff", "DENY", "-", "default-src *", "-" }, values_of(response))
        assert.matches("^%x+$", response.body)
    end)

    it("has a nonce for each reply that asks for one", function()
        local function ask(setting)
            local response = fetch(setting, function(handler)
                assert(handler:csp_nonce() == handler:csp_nonce())
                return handler:csp_nonce()
            end)
            return response.body, response.headers:get("Content-Security-Policy")
        end
        local nonce, csp = ask(true)
        assert.matches("^" .. ("%x"):rep(32) .. "$", nonce)
        assert.equal(("%s; script-src 'self' 'nonce-%s'; style-src 'self' 'nonce-%s'"):format(CSP,
            nonce, nonce), csp)
        local other = ask(true)
        assert.not_equal(nonce, other)
        nonce, csp = ask { csp = "script-src 'none'; style-src a.test;upgrade-insecure-requests" }
        assert.equal(("script-src 'nonce-%s'; style-src a.test 'nonce-%s'; " ..
            "upgrade-insecure-requests"):format(nonce, nonce), csp)
        nonce, csp = ask(false)
        assert.matches("^%x+$", nonce)
        assert.is_nil(csp)
    end)

    it("refuses what it does not know", function()
        for _, bad in ipairs { 5, { frame = "DENY" }, { csp = 5 }, { csp = "a\r\nb" } } do
            local ok, err = pcall(web.Application, {}, { security_headers = bad })
            assert.is_false(ok)
            assert.matches("headers_policy_spec.lua:%d+: .*security_headers", err)
        end
    end)

    it("has its nonce in what UI modules bring", function()
        local function page(setting)
            local response = fetch(setting, function(handler)
                return handler:render_linked_js { "/a.js" } ..
                    handler:render_linked_css { "/a.css" } ..
                    handler:render_embed_js { "x" } .. handler:render_embed_css { "y" }
            end)
            return response.body, response.headers:get("Content-Security-Policy")
        end
        local body, csp = page(true)
        local nonce = csp:match "script%-src 'self' 'nonce%-(%x+)'"
        assert.matches("style%-src 'self' 'nonce%-" .. nonce, csp)
        assert.equal((([[<script src="/a.js" type="text/javascript" nonce="N"></script>]] ..
            [[<link href="/a.css" type="text/css" rel="stylesheet" nonce="N"/>]] ..
            '<script type="text/javascript" nonce="N">\n//<![CDATA[\nx\n//]]>\n</script>' ..
            '<style type="text/css" nonce="N">\ny\n</style>'):gsub("N", nonce)), body)
        for _, setting in ipairs { false, { csp = false } } do
            body, csp = page(setting)
            assert.not_matches("nonce", body)
            assert.is_nil(csp)
        end
    end)
end)
