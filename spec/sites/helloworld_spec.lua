-- sites/helloworld answers.
local sites = require "tornado.sites"
local testing = require "tornado.testing"

describe("sites/helloworld", function()
    it("says hello", function()
        local server = testing.serve(assert(sites.load("sites/helloworld")))
        local response = server:fetch("/")
        assert.equal(200, response.code)
        assert.equal("Hello, world", response.body)
        assert.equal("text/html; charset=UTF-8", response.headers:get("Content-Type"))
        assert.equal(404, server:fetch("/other").code)
    end)
end)
