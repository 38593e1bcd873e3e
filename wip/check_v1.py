import sys, json, time
sys.path.insert(0,'/work/shared/golden/slicq'); sys.path.insert(0,'/tmp/wip')
import numpy as np, jax, jax.numpy as jnp
import detrand
import xumx_jax.layers as L
import importlib.util
for name,path in (('xumx_jax.layers.band_autoencoder','/tmp/wip/band_autoencoder.py'),('xumx_jax.models.xumx_slicq','/tmp/wip/xumx_slicq.py')):
    spec=importlib.util.spec_from_file_location(name,path); m=importlib.util.module_from_spec(spec); sys.modules[name]=m; spec.loader.exec_module(m)
from xumx_jax.models.xumx_slicq import XumxSliCQ
which=sys.argv[1]
z=np.load(f'/work/shared/golden/slicq/net_{which}.npz'); m=json.loads(str(z['meta']))
model=XumxSliCQ(sources=('vocals','drums','bass','other'),scale=m['kind'],bins=m['bins'],low_hz=m['fmin'],bandwidth_hz=m['bandwidth'])
assert model.transform.length==m['sllen'], model.transform.length
print('first_left',model.first_left,m['max_bin'])
tag=m['param_tag']
from xumx_jax.models.xumx_slicq import groups_of
gs=groups_of(model.transform,model.first_left)
def get(t,b,leaf,shape): return detrand.param(tag,f'bucketed_unmixes_{t}.{b}.{leaf}',shape)
P={};B={}
inner,wide=25,55
for g in gs:
    kf,kt=g.kernel
    d={};bs={}
    shapes=[(25,2,kf,kt),(55,25,kf,kt),(55,25,kf,kt),(25,2,kf,kt)]
    for n,(i,shape) in enumerate(zip((0,3,6,9),shapes)):
        w=np.stack([[get(t,b,f'cdae.{i}.weight',shape) for t in model.sources] for b in g.blocks])
        d[f'kernel_{n}']=w.transpose(0,1,4,5,3,2) if n<2 else w.transpose(0,1,4,5,2,3)
    for n,(i,c) in enumerate(zip((1,4,7,10),(25,55,25,2))):
        f=lambda leaf:np.stack([[get(t,b,f'cdae.{i}.{leaf}',(c,)) for t in model.sources] for b in g.blocks])
        d[f'norm_{n}']={'scale':f('weight'),'bias':f('bias')}; bs[f'norm_{n}']={'mean':f('running_mean'),'var':f('running_var')}
    w=np.stack([[get(t,b,'cdae.12.weight',(2,2,1,3)) for t in model.sources] for b in g.blocks])
    d['growth']=w[:,:,:,:,0].transpose(0,1,4,2,3)
    d['growth_bias']=np.stack([[get(t,b,'cdae.12.bias',(2,)) for t in model.sources] for b in g.blocks])
    P['kernels_%dx%d'%g.kernel]=d;B['kernels_%dx%d'%g.kernel]=bs
blocks=sorted(b for g in gs for b in g.blocks)
for leaf in('input_mean','input_scale'):
    P[leaf]=np.stack([np.concatenate([get(t,b,leaf,(model.transform.blocks[b].bands,)) for b in blocks]) for t in model.sources])
V={'params':P,'batch_stats':B}
n=sum(x.size for x in jax.tree.leaves(P)); print('params',n,m['params'])
x=jnp.asarray(z['x'])
sh=jax.eval_shape(lambda: model.init(jax.random.key(0),x))
print(jax.tree.all(jax.tree.map(lambda a,b:a.shape==b.shape,sh['params'],P)))
t=time.time();f=jax.jit(lambda v,x:model.apply(v,x)).lower(V,x).compile();print('compile',time.time()-t)
s=f(V,x)
for i,t in enumerate(model.sources):
    if f'mask_{t}' in z:
        flat=np.concatenate([np.asarray(b[:,i]).ravel() for b in s.mask])
        print(t,'mask',abs(flat-z[f'mask_{t}']).max())
    else:
        print(t,[float(abs(np.asarray(s.mask[b][:,i])-z[f'mask_{t}_{b}']).max()) for b in range(70) if f'mask_{t}_{b}' in z])
    print('  masksum',abs(np.array([float(np.asarray(b[:,i],np.float64).sum()) for b in s.mask])/z[f'masksum_{t}']-1).max())
if 'y_phasemix' in z: print('wave',abs(np.asarray(s.wave)[:, [0,1,2,3]]-z['y_phasemix']).max(), abs(z['y_phasemix']).max())
if len(sys.argv)>2:
    x=jnp.asarray(np.random.default_rng(0).normal(size=(1,2,441000))*.1,jnp.float32)
    t=time.process_time(); f=jax.jit(lambda v,x:model.apply(v,x)).lower(V,x).compile(); print('compile 10 s: cpu',time.process_time()-t)
    for _ in range(4):
        c=time.process_time();t=time.time(); jax.block_until_ready(f(V,x)); print('10 s: cpu',time.process_time()-c,'wall',time.time()-t)
