-- sites/webspider crawls itself.
local sites = require "tornado.sites"
local testing = require "tornado.testing"

describe("sites/webspider", function()
    it("finds all pages from the first one on, and the dead links", function()
        local server = testing.serve(assert(sites.load "sites/webspider"))
        local found = server:fetch("/spider", { timeout = 10 }):json()
        local base = "http://" .. server.address
        local pages = {}
        for _, url in ipairs(found.pages) do
            assert.is_nil(pages[url])
            pages[url] = true
            assert.equal(base, url:sub(1, #base))
        end
        for n = 1, 9 do assert.is_true(pages[base .. "/page/" .. n]) end
        assert.is_true(pages[base .. "/"])
        assert.matches("HTTP 404", found.dead[base .. "/page/10"])
        assert.is_nil(found.dead["http://example.test/"])
    end)

    it("goes nowhere else", function()
        local server = testing.serve(assert(sites.load "sites/webspider"))
        assert.equal(400, server:fetch("/spider?from=http://example.test/").code)
        assert.equal(400, server:fetch("/spider?from=file:///etc/passwd").code)
    end)
end)
