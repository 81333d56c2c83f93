async def test_x(spans, make_client):
    import braintrust.integrations.mistral as m, sys
    from . import spans as s
    assert sys.modules['braintrust.integrations.mistral.spans'] is s
    print(m.__file__, [k for k in sys.modules if k.endswith('mistral.spans')])
